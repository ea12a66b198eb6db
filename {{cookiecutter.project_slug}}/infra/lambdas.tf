# The function that starts workflows: a version was approved in the registry, a job of the pipeline has ended, what an
# endpoint is asked has drifted. functions.tf makes it.
locals {
  # Without a repository there is nothing to start.
  dispatches = var.functions && var.github_repository != null

  # OWNER/REPOSITORY, without the ids that GitHub's tokens have beside them.
  repository = var.github_repository == null ? "" : replace(var.github_repository, "/@[0-9]+/", "")

  # What starts a workflow, where this environment has it.
  started_by = merge(
    # Where nobody has to approve, a version is deployed by the workflow that brings it.
    local.environment.manual ? {
      approved = {
        source      = ["aws.sagemaker"]
        detail-type = ["SageMaker Model Package State Change"]
        detail      = { ModelPackageGroupName = local.environment.groups, ModelApprovalStatus = ["Approved"] }
      }
    } : {},
    # Runs wait for the jobs of the pipeline, which are those of the environment that trains.
    {
      for name, kind in { trained = "Training", processed = "Processing" } : name => {
        source                    = ["aws.sagemaker"]
        detail-type               = ["SageMaker ${kind} Job State Change"]
        detail = {
          "${kind}JobName"   = [{ prefix = "${local.prefix}-" }]
          "${kind}JobStatus" = ["Completed", "Failed", "Stopped"]
        }
      } if local.first
    },
    length(local.environment.endpoints) > 0 ? {
      drifted = {
        source      = ["aws.cloudwatch"]
        detail-type = ["CloudWatch Alarm State Change"]
        detail      = { alarmName = local.drift_alarms, state = { value = ["ALARM"] } }
      }
    } : {},
  )
  drift_alarms = [for endpoint in local.environment.endpoints : "${endpoint}-drift"]

  dispatch = {
    for name, function in {
      dispatch = {
        about   = "Starts a workflow of ${local.repository} when something has happened here"
        memory  = 512
        seconds = 60
        variables = {
          ENVIRONMENT       = var.environment
          PREFIX            = local.prefix
          GROUPS            = join(",", local.environment.groups)
          TRAINS            = tostring(local.first)
          DRIFT_ALARMS      = join(",", local.drift_alarms)
          EVENTS_TABLE      = one(aws_dynamodb_table.events[*].name)
          APP_SECRET        = "${local.project}-github-app"
          GITHUB_REPOSITORY = local.repository
          GITHUB_REF        = "main"
        }
        rules = local.started_by
        rights = concat(local.open_and_seal, [
          {
            # Secrets Manager puts six characters of its own behind the name.
            Effect   = "Allow"
            Action   = "secretsmanager:GetSecretValue"
            Resource = "arn:aws:secretsmanager:${local.here}:secret:${local.project}-github-app-??????"
          },
          {
            Effect   = "Allow"
            Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
            Resource = one(aws_dynamodb_table.events[*].arn)
          },
        ])
      }
    } : name => function if local.dispatches
  }
}

# Events that have been acted on, for a quarter of an hour: AWS may send one twice.
resource "aws_dynamodb_table" "events" {
  #checkov:skip=CKV_AWS_28:it holds the ids of a quarter of an hour
  count = local.dispatches ? 1 : 0

  name         = "${local.prefix}-events"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"

  attribute {
    name = "id"
    type = "S"
  }

  ttl {
    attribute_name = "expiration"
    enabled        = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = local.key
  }
}
