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

  hours = {
    for name, function in {
      hours = {
        about     = "Stops and starts the endpoints of ${local.prefix}"
        memory    = 512
        seconds   = 120
        variables = { BUCKET = local.environment.bucket, ENDPOINTS = join(",", sort(keys(local.clocks))) }
        # An endpoint that is in service again scales as it did.
        rules = {
          hours = {
            source      = ["aws.sagemaker"]
            detail-type = ["SageMaker Endpoint State Change"]
            detail      = { EndpointName = sort(keys(local.clocks)), EndpointStatus = local.in_service }
          }
        }
        rights = local.schedule
      }
    } : name => function if length(local.clocks) > 0
  }

  # SageMaker writes it one way in its events, and another way in its answers.
  in_service = ["IN_SERVICE", "InService"]

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
      # Which version serves, where another one stands in its shadow.
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeEndpointConfig"]
      Resource = [for name in local.served : "arn:aws:sagemaker:${local.here}:endpoint-config/${name}"]
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

resource "aws_scheduler_schedule" "hours" {
  #checkov:skip=CKV_AWS_297:its input is the name of an endpoint, and a key of ours would be one more right
  for_each = local.moments

  name                         = each.key
  description                  = "${each.value.action} of ${each.value.endpoint}"
  schedule_expression          = each.value.cron
  schedule_expression_timezone = each.value.timezone

  flexible_time_window { mode = "OFF" }

  target {
    arn      = aws_lambda_function.function["hours"].arn
    role_arn = aws_iam_role.scheduler["hours"].arn
    input    = jsonencode({ action = each.value.action, endpoint = each.value.endpoint })
  }
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
      { Effect = "Allow", Action = "lambda:InvokeFunction", Resource = aws_lambda_function.function[each.key].arn },
    ]
  })
}
