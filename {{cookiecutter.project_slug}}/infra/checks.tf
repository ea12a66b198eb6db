# What an endpoint is held to once it serves, by its name and its configuration, and what came of it. `mlops deploy` writes
# the one, the function below the other.
resource "aws_dynamodb_table" "checks" {
  count = length(local.environment.endpoints) > 0 ? 1 : 0

  name                        = "${local.prefix}-checks"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "endpoint"
  deletion_protection_enabled = !var.delete_data

  attribute {
    name = "endpoint"
    type = "S"
  }

  point_in_time_recovery { enabled = true }

  server_side_encryption {
    enabled     = true
    kms_key_arn = local.key
  }
}

# The function that checks an endpoint when SageMaker tells that it is in service. It tells of endpoints on instances
# (developer guide, events of EventBridge); the workflow that deploys a serverless one, or batch, checks it.
locals {
  kinds = [
    try(local.given.endpoint.kind, "real_time"),
    try(local.given.challenger.endpoint.kind, local.given.endpoint.kind, "real_time"),
  ]
  checked = [
    for position, endpoint in local.environment.endpoints : endpoint
    if var.functions && local.kinds[position] == "real_time"
  ]

  checks = {
    for name, function in {
      checks = {
        about   = "Checks the endpoints of ${local.prefix} when they are in service"
        memory  = 1769 # one whole processor: a part of one would be measured as the endpoint's latency
        seconds = 900  # as long as Lambda allows: src/mlops/checks/unattended.py keeps within it
        variables = {
          ENDPOINTS    = join(",", local.checked)
          TABLE        = one(aws_dynamodb_table.checks[*].name)
          TOPIC        = aws_sns_topic.alarms.arn
          SLACK_SECRET = var.slack_secret == null ? "" : var.slack_secret
          # A request that fails is a result: it is not tried until it does not.
          AWS_MAX_ATTEMPTS = "2"
        }
        rules = {
          checks = {
            source      = ["aws.sagemaker"]
            detail-type = ["SageMaker Endpoint State Change", "SageMaker Endpoint Deployment State Change"]
            detail      = { EndpointName = local.checked, EndpointStatus = local.in_service }
          }
        }
        rights = concat(
          local.open_and_seal,
          [
            {
              Effect   = "Allow"
              Action   = ["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"]
              Resource = [for endpoint in local.checked : "arn:aws:sagemaker:${local.here}:endpoint/${endpoint}"]
            },
            {
              Effect   = "Allow"
              Action   = "s3:GetObject"
              Resource = [for endpoint in local.checked : "${local.bucket_arn}/endpoints/${endpoint}/contracts/*"]
            },
            {
              Effect   = "Allow"
              Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
              Resource = one(aws_dynamodb_table.checks[*].arn)
            },
            { Effect = "Allow", Action = "sns:Publish", Resource = aws_sns_topic.alarms.arn },
          ],
          [
            # Secrets Manager puts six characters of its own behind a name; an ARN has them.
            for secret in compact([var.slack_secret]) : {
              Effect   = "Allow"
              Action   = "secretsmanager:GetSecretValue"
              Resource = startswith(secret, "arn:") ? secret : "arn:aws:secretsmanager:${local.here}:secret:${secret}-??????"
            }
          ],
        )
      }
    } : name => function if length(local.checked) > 0
  }
}

locals {
  # The right of whoever deploys: the same as the sandbox's (sandbox/checks.py).
  leave_checks = [
    for table in aws_dynamodb_table.checks : { Effect = "Allow", Action = "dynamodb:UpdateItem", Resource = table.arn }
  ]
}
