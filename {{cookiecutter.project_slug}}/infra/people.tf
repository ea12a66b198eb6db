# Roles for people. Each looks at its environment, and takes on the duties that are its: what a person does with
# `mlops` and MLOPS_ASSUME_ROLES=1 is done under the same role as in a workflow.
locals {
  # Who → the duties of this environment. Nobody has approve: who approves is named by those who review.
  duties_of_people = {
    data-scientist = local.first ? ["train"] : []
    ml-engineer    = local.first ? ["train", "deploy", "image"] : local.environment.manual ? [] : ["deploy", "destroy", "schedule"]
    operations     = local.first ? ["prune"] : ["deploy", "destroy", "prune", "schedule"]
  }

  look = concat(local.read_groups[var.environment], local.read_logs["train"], [
    {
      Effect = "Allow"
      Action = [
        "sagemaker:DescribeTrainingJob", "sagemaker:DescribeProcessingJob", "sagemaker:DescribeModel",
        "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeEndpoint", "sagemaker:ListTags",
      ]
      Resource = [
        for kind in ["training-job", "processing-job", "model", "endpoint-config", "endpoint"] :
        "arn:aws:sagemaker:${local.here}:${kind}/${local.prefix}*"
      ]
    },
    {
      Effect = "Allow"
      Action = [
        "sagemaker:ListModelPackageGroups", "sagemaker:ListTrainingJobs", "sagemaker:ListProcessingJobs", "sagemaker:ListModels",
        "sagemaker:ListEndpointConfigs", "sagemaker:ListEndpoints", "cloudwatch:GetMetricStatistics",
        "cloudwatch:GetMetricData", "cloudwatch:ListMetrics",
      ]
      Resource = "*"
    },
    { Effect = "Allow", Action = "cloudwatch:DescribeAlarms", Resource = local.alarm_arns },
    {
      # An endpoint has a group of its own. A filter is asked of a group as a whole (Service Authorization Reference).
      Effect = "Allow"
      Action = ["logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"]
      Resource = [
        for end in ["", "-*"] : "${local.log_start}/Endpoints/${local.prefix}${end}:*"
      ]
    },
  ])

  # Data comes by `dvc push`, where models are trained. Production's data is nobody's to read.
  bring_data = concat([{ Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = local.key }], [
    { Effect = "Allow", Action = ["s3:ListBucket"], Resource = local.bucket_arn },
    { Effect = "Allow", Action = ["s3:GetObject"], Resource = "${local.bucket_arn}/*" },
    {
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
      Resource = "${local.bucket_arn}/dvc/*"
    },
  ])

  grants_of_people = {
    for person, duties in local.duties_of_people : person => concat(
      local.look,
      [
        for all in [[for duty in duties : local.environment.roles[duty]]] :
        { Effect = "Allow", Action = "sts:AssumeRole", Resource = all } if length(all) > 0
      ],
      [for statement in local.bring_data : statement if local.first && contains(duties, "train")],
    )
  }
}

resource "aws_iam_role" "person" {
  for_each = var.people

  name                 = "${local.prefix}-${each.key}"
  path                 = local.role_path
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # The role that single sign-on gives is named by a condition: it is made anew with every change, and a
        # principal would follow the old one.
        Effect    = "Allow"
        Principal = { AWS = distinct([for arn in each.value.principals : "arn:aws:iam::${split(":", arn)[4]}:root"]) }
        Action    = "sts:AssumeRole"
        Condition = merge(
          { ArnLike = { "aws:PrincipalArn" = each.value.principals } },
          [
            for tags in [each.value.tags] :
            { StringEquals = { for name, value in tags : "aws:PrincipalTag/${name}" => value } } if length(tags) > 0
          ]...
        )
      },
    ]
  })
}

resource "aws_iam_role_policy" "person" {
  for_each = aws_iam_role.person

  name   = "mlops"
  role   = each.value.name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.grants_of_people[each.key] })
}
