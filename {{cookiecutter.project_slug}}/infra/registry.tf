# What may be changed on a version of a group: its approval, and the notes that are the role's to write. What a version
# says of where it comes from is written once, when it is registered or copied.
locals {
  metadata = "sagemaker:CustomerMetadataProperties"

  # What made a version, and who brought it: nobody changes it.
  origin = [
    "fingerprint", "commit", "branch", "dataset", "dataset_uri", "digest", "image", "training_job", "registered_by",
    "run_url", "report_uri", "baseline_uri", "promoted_from", "promoted_by", "promoted_commit", "adopted_from",
  ]

  # What the gate writes anew when it has held a version against another one.
  gate = ["gate", "gate_uri", "gate_against", "gate_answers", "gate_gains", "gate_serving", "gate_overruled"]

  # What a deployment writes: since and until when a challenger serves, and that a version was found well.
  trial_notes = ["serves_since", "served_until", "verified"]

  # Where a person approves, the role that deploys may not: it registers what waits for approval, and rejects.
  register = [
    for action, status in {
      "sagemaker:CreateModelPackage" = "PendingManualApproval"
      "sagemaker:UpdateModelPackage" = "Rejected"
      } : merge(
      {
        Effect   = "Allow"
        Action   = action
        Resource = status == "Rejected" ? local.versions[var.environment] : local.created
      },
      {
        for element, condition in {
          Condition = merge(
            {
              for operator, keys in {
                StringEqualsIfExists = { "sagemaker:ModelApprovalStatus" = status }
              } : operator => keys if local.environment.manual
            },
            {
              for operator, keys in {
                Null = { for key in local.origin : "${local.metadata}/${key}" => "true" }
              } : operator => keys if status == "Rejected"
            },
            {
              # Asked of what a request holds: one that removes nothing has nothing that would have to be among these.
              for operator, keys in {
                "ForAllValues:StringEquals" = { "${local.metadata}ToRemove" = local.gate }
              } : operator => keys if status == "Rejected"
            },
          )
        } : element => condition if length(condition) > 0
      },
    )
  ]
}
