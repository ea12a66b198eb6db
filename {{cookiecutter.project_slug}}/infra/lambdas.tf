# The function that starts workflows: a version was approved in the registry, a job of the pipeline has ended, what an
# endpoint is asked has drifted. Its code is in lambdas/; `uv run python -m lambdas.package` builds the zip, of the same
# bytes from the same files, before `terraform plan`.
locals {
  zip = "${path.module}/build/lambdas.zip"
  # Without a repository there is nothing to start.
  dispatch = var.functions && var.github_repository != null ? toset(["dispatch"]) : toset([])

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
  rules        = { for name, pattern in local.started_by : name => pattern if length(local.dispatch) > 0 }
}

resource "aws_lambda_function" "dispatch" {
  #checkov:skip=CKV_AWS_50:what it did is in its log, and traces would be one more right
  #checkov:skip=CKV_AWS_115:a reserve is refused in an account whose quota is that of a new one; what is throttled is tried again
  #checkov:skip=CKV_AWS_116:what has failed three times goes to a queue, by its event invoke config
  #checkov:skip=CKV_AWS_117:it calls GitHub and AWS, and nothing in a network
  #checkov:skip=CKV_AWS_272:whoever applies builds the zip from this repository, and the plan shows its hash
  for_each = local.dispatch

  function_name    = "${local.prefix}-${each.key}"
  description      = "Starts a workflow of ${local.repository} when something has happened here"
  role             = aws_iam_role.dispatch[each.key].arn
  handler          = "lambdas.dispatch.handler"
  filename         = local.zip
  source_code_hash = fileexists(local.zip) ? filebase64sha256(local.zip) : null
  runtime          = "python3.13" # lambdas/package.py takes the libraries for this Python and this architecture
  architectures    = ["x86_64"]
  memory_size      = 512
  timeout          = 60
  kms_key_arn      = local.key

  environment {
    variables = {
      ENVIRONMENT       = var.environment
      PREFIX            = local.prefix
      GROUPS            = join(",", local.environment.groups)
      TRAINS            = tostring(local.first)
      DRIFT_ALARMS      = join(",", local.drift_alarms)
      EVENTS_TABLE      = aws_dynamodb_table.events[each.key].name
      APP_SECRET        = "${local.project}-github-app"
      GITHUB_REPOSITORY = local.repository
      GITHUB_REF        = "main"
    }
  }

  lifecycle {
    precondition {
      condition     = fileexists(local.zip)
      error_message = "infra/build/lambdas.zip is not there: `uv run python -m lambdas.package` builds it."
    }
  }

  depends_on = [aws_cloudwatch_log_group.dispatch, aws_iam_role_policy.dispatch]
}

# What was tried three times and still failed is kept for two weeks, with its error.
resource "aws_lambda_function_event_invoke_config" "dispatch" {
  for_each = aws_lambda_function.dispatch

  function_name          = each.value.function_name
  maximum_retry_attempts = 2

  destination_config {
    on_failure { destination = aws_sqs_queue.failed[each.key].arn }
  }
}

resource "aws_sqs_queue" "failed" {
  for_each = local.dispatch

  name                      = "${local.prefix}-${each.key}-failed"
  kms_master_key_id         = local.key
  message_retention_seconds = 1209600
}

resource "aws_cloudwatch_log_group" "dispatch" {
  #checkov:skip=CKV_AWS_338:it helps with what went wrong lately; what was decided is in the registry and on GitHub
  for_each = local.dispatch

  name              = "/aws/lambda/${local.prefix}-${each.key}"
  retention_in_days = 90
  # Of a key that is not made here the owner's policy would have to let the service use it.
  kms_key_id = local.makes_key ? local.key : null
}

# Events that have been acted on, for a quarter of an hour: AWS may send one twice.
resource "aws_dynamodb_table" "events" {
  #checkov:skip=CKV_AWS_28:it holds the ids of a quarter of an hour
  for_each = local.dispatch

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

resource "aws_cloudwatch_event_rule" "dispatch" {
  for_each = local.rules

  name          = "${local.prefix}-${each.key}"
  event_pattern = jsonencode(each.value)
}

resource "aws_cloudwatch_event_target" "dispatch" {
  for_each = aws_cloudwatch_event_rule.dispatch

  rule      = each.value.name
  target_id = "dispatch"
  arn       = aws_lambda_function.dispatch["dispatch"].arn
}

resource "aws_lambda_permission" "dispatch" {
  for_each = aws_cloudwatch_event_rule.dispatch

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.dispatch["dispatch"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = each.value.arn
}

resource "aws_iam_role" "dispatch" {
  for_each = local.dispatch

  name                 = "${local.prefix}-${each.key}"
  path                 = local.role_path
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" },
    ]
  })
}

resource "aws_iam_role_policy" "dispatch" {
  for_each = local.dispatch

  name = "mlops"
  role = aws_iam_role.dispatch[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.dispatch[each.key].arn}:*"
      },
      {
        # Secrets Manager puts six characters of its own behind the name.
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = "arn:aws:secretsmanager:${local.here}:secret:${local.project}-github-app-??????"
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        Resource = aws_dynamodb_table.events[each.key].arn
      },
      { Effect = "Allow", Action = "sqs:SendMessage", Resource = aws_sqs_queue.failed[each.key].arn },
      { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = local.key },
    ]
  })
}
