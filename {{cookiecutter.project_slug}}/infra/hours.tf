# Endpoints that run by the clock: `hours:` of an endpoint in mlops.yaml. A function deletes one in the evening, after it
# has written down what it is made from, and makes it again in the morning. Nothing of it is there unless it is set.
locals {
  endpoints_given = [
    try(local.given.endpoint, null),
    # What a challenger's endpoint does not say, the environment's own says, unless it is of another kind.
    merge(
      { for name, value in try(local.given.endpoint, {}) : name => value if name == "hours" },
      try(local.given.challenger.endpoint, {}),
    ),
  ]
  clocks = {
    for position, endpoint in local.environment.endpoints : endpoint => {
      start    = local.endpoints_given[position].hours.start
      stop     = local.endpoints_given[position].hours.stop
      days     = try(local.endpoints_given[position].hours.days, "MON-FRI")
      timezone = try(local.endpoints_given[position].hours.timezone, "UTC")
    }
    if try(local.endpoints_given[position].hours, null) != null &&
    try(local.endpoints_given[position].kind, "real_time") == "real_time"
  }
  hours = length(local.clocks) > 0 ? toset(["hours"]) : toset([])

  # It starts on its days, and stops on each day, whoever has started it: a deployment brings it up too.
  moments = merge([
    for endpoint, clock in local.clocks : {
      for action, days in { start = "? * ${clock.days}", stop = "* * ?" } : "${endpoint}-${action}" => {
        endpoint                  = endpoint
        action                    = action
        timezone                  = clock.timezone
        cron                      = format("cron(%d %d %s *)", tonumber(split(":", clock[action])[1]), tonumber(split(":", clock[action])[0]), days)
      }
    }
  ]...)
}

# The rights, which people have by a role of their own: the same as the sandbox's (sandbox/hours.py).
locals {
  # Without the list a missing object is a refusal.
  keep_stopped = [
    { Effect = "Allow", Action = ["s3:ListBucket"], Resource = local.bucket_arn },
    { Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = "${local.bucket_arn}/endpoints/*" },
  ]

  schedule = concat(local.keep_stopped, local.use_key, local.scale, [
    {
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:AddTags", "sagemaker:ListTags"]
      Resource = [for name in local.served : "arn:aws:sagemaker:${local.here}:endpoint/${name}"]
    },
    {
      Effect = "Allow"
      Action = ["sagemaker:CreateEndpoint"]
      Resource = [
        for pair in setproduct(["endpoint", "endpoint-config"], local.served) :
        "arn:aws:sagemaker:${local.here}:${pair[0]}/${pair[1]}"
      ]
    },
    {
      Effect = "Allow"
      Action = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
      Resource = [
        for end in ["", "-champion", "-challenger"] :
        "arn:aws:sagemaker:${local.here}:model-package/${local.prefix}${end}/*"
      ]
    },
    { Effect = "Allow", Action = ["application-autoscaling:DescribeScheduledActions"], Resource = ["*"] },
  ])
}

resource "aws_lambda_function" "hours" {
  #checkov:skip=CKV_AWS_50:what it did is in its log, and traces would be one more right
  #checkov:skip=CKV_AWS_115:a reserve is refused in an account whose quota is that of a new one; what is throttled is tried again
  #checkov:skip=CKV_AWS_116:what has failed three times goes to a queue, by its event invoke config
  #checkov:skip=CKV_AWS_117:it calls AWS only, and nothing in a network
  #checkov:skip=CKV_AWS_272:whoever applies builds the zip from this repository, and the plan shows its hash
  for_each = local.hours

  function_name    = "${local.prefix}-${each.key}"
  description      = "Stops and starts the endpoints of ${local.prefix}"
  role             = aws_iam_role.hours[each.key].arn
  handler          = "lambdas.hours.handler"
  filename         = local.zip
  source_code_hash = fileexists(local.zip) ? filebase64sha256(local.zip) : null
  runtime          = "python3.13" # as in lambdas.tf
  architectures    = ["x86_64"]
  memory_size      = 512
  timeout          = 120
  kms_key_arn      = local.key

  environment {
    variables = {
      BUCKET    = local.environment.bucket
      ENDPOINTS = join(",", sort(keys(local.clocks)))
    }
  }

  lifecycle {
    precondition {
      condition     = fileexists(local.zip)
      error_message = "infra/build/lambdas.zip is not there: `uv run python -m lambdas.package` builds it."
    }
  }

  depends_on = [aws_cloudwatch_log_group.hours, aws_iam_role_policy.hours]
}

resource "aws_lambda_function_event_invoke_config" "hours" {
  for_each = aws_lambda_function.hours

  function_name          = each.value.function_name
  maximum_retry_attempts = 2

  destination_config {
    on_failure { destination = aws_sqs_queue.hours[each.key].arn }
  }
}

# What was tried three times is kept for two weeks, with its error: an endpoint that stays up for a night is seen here.
resource "aws_sqs_queue" "hours" {
  for_each = local.hours

  name                      = "${local.prefix}-${each.key}-failed"
  kms_master_key_id         = local.key
  message_retention_seconds = 1209600
}

resource "aws_cloudwatch_log_group" "hours" {
  #checkov:skip=CKV_AWS_338:it helps with what went wrong lately; what was decided is in the registry and on GitHub
  for_each = local.hours

  name              = "/aws/lambda/${local.prefix}-${each.key}"
  retention_in_days = 90
  kms_key_id        = local.makes_key ? local.key : null
}

# An endpoint that is in service again scales as it did.
resource "aws_cloudwatch_event_rule" "hours" {
  for_each = local.hours

  name = "${local.prefix}-${each.key}"
  event_pattern = jsonencode({
    source      = ["aws.sagemaker"]
    detail-type = ["SageMaker Endpoint State Change"]
    detail      = { EndpointName = sort(keys(local.clocks)), EndpointStatus = ["IN_SERVICE", "InService"] }
  })
}

resource "aws_cloudwatch_event_target" "hours" {
  for_each = aws_cloudwatch_event_rule.hours

  rule      = each.value.name
  target_id = "hours"
  arn       = aws_lambda_function.hours[each.key].arn
}

resource "aws_lambda_permission" "hours" {
  for_each = aws_cloudwatch_event_rule.hours

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.hours[each.key].function_name
  principal     = "events.amazonaws.com"
  source_arn    = each.value.arn
}

resource "aws_scheduler_schedule" "hours" {
  #checkov:skip=CKV_AWS_297:its input is the name of an endpoint, and a key of ours would be one more right
  for_each = local.moments

  name                         = each.key
  description                  = "${each.value.action} of ${each.value.endpoint}"
  schedule_expression          = each.value.cron
  schedule_expression_timezone = each.value.timezone

  flexible_time_window { mode = "OFF" }

  target {
    arn      = aws_lambda_function.hours["hours"].arn
    role_arn = aws_iam_role.scheduler["hours"].arn
    input    = jsonencode({ action = each.value.action, endpoint = each.value.endpoint })
  }
}

resource "aws_iam_role" "hours" {
  for_each = local.hours

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

resource "aws_iam_role_policy" "hours" {
  for_each = local.hours

  name = "mlops"
  role = aws_iam_role.hours[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.schedule, [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.hours[each.key].arn}:*"
      },
      { Effect = "Allow", Action = "sqs:SendMessage", Resource = aws_sqs_queue.hours[each.key].arn },
    ])
  })
}

resource "aws_iam_role" "scheduler" {
  for_each = local.hours

  name                 = "${local.prefix}-scheduler"
  path                 = local.role_path
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "scheduler.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  for_each = local.hours

  name = "mlops"
  role = aws_iam_role.scheduler[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "lambda:InvokeFunction", Resource = aws_lambda_function.hours[each.key].arn },
    ]
  })
}
