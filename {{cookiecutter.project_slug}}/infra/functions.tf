# Functions of AWS Lambda: for each its role, its log, the rules of EventBridge that call it, and a queue of what failed.
# lambdas.tf, hours.tf and checks.tf say which there are, what each may do and what calls it. Their code is in lambdas/;
# `uv run python -m lambdas.package` builds the zip, of the same bytes from the same files, before `terraform plan`.
locals {
  zip       = "${path.module}/build/lambdas.zip"
  functions = merge(local.dispatch, local.hours, local.checks)

  # Name of a rule → the function that it calls, and the events by which it does.
  rules = merge([
    for name, function in local.functions : {
      for rule, pattern in function.rules : rule => { function = name, pattern = jsonencode(pattern) }
    }
  ]...)

  # Of those who read and write what is under the environment's key without keeping it there.
  open_and_seal = [{ Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = local.key }]

  by_lambda = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" },
    ]
  })
}

resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_50:what it did is in its log, and traces would be one more right
  #checkov:skip=CKV_AWS_115:a reserve is refused in an account whose quota is that of a new one; what is throttled is tried again
  #checkov:skip=CKV_AWS_116:what has failed three times goes to a queue, by its event invoke config
  #checkov:skip=CKV_AWS_117:it calls GitHub, Slack and AWS, and nothing in a network
  #checkov:skip=CKV_AWS_272:whoever applies builds the zip from this repository, and the plan shows its hash
  for_each = local.functions

  function_name    = "${local.prefix}-${each.key}"
  description      = each.value.about
  role             = aws_iam_role.function[each.key].arn
  handler          = "lambdas.${each.key}.handler"
  filename         = local.zip
  source_code_hash = fileexists(local.zip) ? filebase64sha256(local.zip) : null
  runtime          = "python3.13" # lambdas/package.py takes the libraries for this Python and this architecture
  architectures    = ["x86_64"]
  memory_size      = each.value.memory
  timeout          = each.value.seconds
  kms_key_arn      = local.key

  environment { variables = each.value.variables }

  lifecycle {
    precondition {
      condition     = fileexists(local.zip)
      error_message = "infra/build/lambdas.zip is not there: `uv run python -m lambdas.package` builds it."
    }
  }

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function]
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = "${local.prefix}-${each.key}"
  path                 = local.role_path
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.by_lambda
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "mlops"
  role = aws_iam_role.function[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(each.value.rights, [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.function[each.key].arn}:*"
      },
      { Effect = "Allow", Action = "sqs:SendMessage", Resource = aws_sqs_queue.failed[each.key].arn },
    ])
  })
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338:it helps with what went wrong lately; what was decided is in the registry and on GitHub
  for_each = local.functions

  name              = "/aws/lambda/${local.prefix}-${each.key}"
  retention_in_days = 90
  # Of a key that is not made here the owner's policy would have to let the service use it.
  kms_key_id = local.makes_key ? local.key : null
}

# What was tried three times and still failed is kept for two weeks, with its error, and somebody is told.
resource "aws_lambda_function_event_invoke_config" "function" {
  for_each = aws_lambda_function.function

  function_name          = each.value.function_name
  maximum_retry_attempts = 2

  destination_config {
    on_failure { destination = aws_sqs_queue.failed[each.key].arn }
  }
}

resource "aws_sqs_queue" "failed" {
  for_each = local.functions

  name                      = "${local.prefix}-${each.key}-failed"
  kms_master_key_id         = local.key
  message_retention_seconds = 1209600
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  for_each = aws_sqs_queue.failed

  alarm_name          = each.value.name
  alarm_description   = "An event failed three times: the queue of this name holds it, with its error"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value.name }
  statistic           = "Maximum"
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  period              = 300
  evaluation_periods  = 1
  # SQS measures nothing of a queue that nobody has used for six hours.
  treat_missing_data = "notBreaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_event_rule" "function" {
  for_each = local.rules

  name          = "${local.prefix}-${each.key}"
  event_pattern = each.value.pattern
}

resource "aws_cloudwatch_event_target" "function" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.function[each.key].name
  target_id = each.value.function
  arn       = aws_lambda_function.function[each.value.function].arn
}

resource "aws_lambda_permission" "function" {
  for_each = local.rules

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function[each.value.function].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.function[each.key].arn
}
