# The roles of the workflow `infra`: one plans for a pull request, one applies on main what reviewers have approved.
# They are made by the administrator's first apply, and changed by administrators only.
locals {
  workflow = {
    plan = {
      # A job of a pull request of this repository, or of a push to main. A fork's gets no token.
      subjects = ["pull_request", "ref:refs/heads/main"]
      more     = {}
      grants   = local.read_state
    }
    apply = {
      subjects = ["environment:${var.environment}-infra"]
      # Not only by the rules of that environment, which anybody may have made who made it first.
      more   = { "${local.github}:ref" = "refs/heads/main" }
      grants = concat(local.read_state, local.write_state, local.change)
    }
  }
  workflow_duties = [
    for duty, wanted in { plan = true, apply = var.workflow_applies } : duty
    if wanted && var.github_repository != null && local.makes_duty[duty]
  ]

  state_bucket = "arn:aws:s3:::${local.project}-terraform-${local.account}"
  state        = "${local.state_bucket}/${local.project}/${var.environment}.tfstate"

  # Every role that is made here by its name: a wildcard would take in another project's whose name begins the same.
  made_roles = [
    for name in concat(
      [for duty in keys(local.environment.roles) : duty if !contains(["plan", "apply"], duty)],
      ["execution", "data-scientist", "ml-engineer", "operations", "scheduler"], local.function_names,
    ) : "arn:aws:iam::${local.account}:role/${local.own_role}${var.environment}-${name}"
  ]
  # All that there may be, whether or not they are there now.
  function_names  = ["dispatch", "hours", "checks"]
  reads_arn       = "arn:aws:iam::${local.account}:policy/${local.own_role}${var.environment}-infra"
  workflow_roles  = [for duty in ["plan", "apply"] : "arn:aws:iam::${local.account}:role/${local.own_role}${var.environment}-${duty}"]
  function_arns   = [for name in local.function_names : "arn:aws:lambda:${local.here}:function:${local.prefix}-${name}"]
  function_logs   = [for name in local.function_names : "arn:aws:logs:${local.here}:log-group:/aws/lambda/${local.prefix}-${name}*"]
  function_queues = [for name in local.function_names : "arn:aws:sqs:${local.here}:${local.prefix}-${name}-failed"]
  topic_arn       = "arn:aws:sns:${local.here}:${local.prefix}-alarms"
  schedule_arns   = "arn:aws:scheduler:${local.here}:schedule/default/${local.prefix}*"
  rule_arns       = "arn:aws:events:${local.here}:rule/${local.prefix}-*"
  dashboard_arn   = "arn:aws:cloudwatch::${local.account}:dashboard/${local.prefix}"
  budget_arn      = "arn:aws:budgets::${local.account}:budget/${local.prefix}"
}

# Its own environment's state; the lock on it is written only by whoever writes the state, or any branch could hold it.
locals {
  read_state = [
    { Effect = "Allow", Action = "s3:ListBucket", Resource = local.state_bucket },
    { Effect = "Allow", Action = "s3:GetObject", Resource = local.state },
  ]
  write_state = [
    { Effect = "Allow", Action = "s3:PutObject", Resource = local.state },
    { Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], Resource = "${local.state}.tflock" },
  ]
}

# How what is here was made, and nothing that is kept in it: no data, no secret, no message. Which of its settings the
# provider reads is different from version to version.
locals {
  read_made = concat(
    [
      for arn in local.makes_bucket ? [local.bucket_arn] : [] :
      { Effect = "Allow", Action = ["s3:GetBucket*", "s3:Get*Configuration", "s3:ListBucket"], Resource = arn }
    ],
    [
      {
        Effect   = "Allow"
        Action   = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListRole*", "iam:ListAttachedRolePolicies"]
        Resource = "arn:aws:iam::${local.account}:role/${local.own_role}${var.environment}-*"
      },
      { Effect = "Allow", Action = ["iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListPolicyVersions"], Resource = local.reads_arn },
      { Effect = "Allow", Action = "iam:GetOpenIDConnectProvider", Resource = local.provider },
      { Effect = "Allow", Action = ["kms:DescribeKey", "kms:GetKey*", "kms:ListResourceTags"], Resource = local.key },
      {
        # The provider asks what AWS's own key of DynamoDB is, to know it from ours.
        Effect   = "Allow"
        Action   = "kms:DescribeKey"
        Resource = "arn:aws:kms:${local.here}:key/*"
      },
      {
        # Without it a function's settings look empty to the provider.
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = local.key
        Condition = { StringEquals = { "kms:ViaService" = "lambda.${local.region}.amazonaws.com" } }
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:Describe*", "dynamodb:ListTagsOfResource"]
        Resource = "arn:aws:dynamodb:${local.here}:table/${local.prefix}-*"
      },
      {
        Effect = "Allow"
        Action = [
          "ecr:DescribeRepositories", "ecr:GetRepositoryPolicy", "ecr:GetLifecyclePolicy", "ecr:ListTagsForResource",
        ]
        Resource = local.repository_arn
      },
      {
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"]
        Resource = "arn:aws:secretsmanager:${local.here}:secret:${local.project}-github-app-??????"
      },
      {
        Effect   = "Allow"
        Action   = ["cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"]
        Resource = local.alarm_arns
      },
      { Effect = "Allow", Action = "cloudwatch:GetDashboard", Resource = local.dashboard_arn },
      { Effect = "Allow", Action = ["sns:GetTopicAttributes", "sns:ListTagsForResource"], Resource = local.topic_arn },
      { Effect = "Allow", Action = ["budgets:ViewBudget", "budgets:ListTagsForResource"], Resource = local.budget_arn },
      { Effect = "Allow", Action = ["lambda:Get*", "lambda:List*"], Resource = local.function_arns },
      { Effect = "Allow", Action = ["sqs:GetQueue*", "sqs:ListQueueTags"], Resource = local.function_queues },
      { Effect = "Allow", Action = "logs:ListTagsForResource", Resource = local.function_logs },
      { Effect = "Allow", Action = ["events:DescribeRule", "events:List*"], Resource = local.rule_arns },
      { Effect = "Allow", Action = ["scheduler:GetSchedule", "scheduler:List*"], Resource = local.schedule_arns },
      {
        # They are asked of no resource (Service Authorization Reference).
        Effect   = "Allow"
        Action   = ["kms:ListAliases", "sns:GetSubscriptionAttributes", "logs:DescribeLogGroups"]
        Resource = "*"
      },
    ],
    [
      for network in var.vpc_endpoints[*] :
      { Effect = "Allow", Action = ["ec2:DescribeVpcEndpoint*", "ec2:DescribePrefixLists"], Resource = "*" }
    ],
  )
}

# Roles of duties and people, and what watches, tells and starts. What holds data or guards it is not among it, nor what
# lets GitHub in: bucket, key, images, checks, secret, identity provider, network, and the two roles of this file.
locals {
  change = concat(
    [
      for boundary in var.permissions_boundary[*] : {
        # Where there is a boundary no role is made, or given a right, that has not got it.
        Effect    = "Deny"
        Action    = ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"]
        Resource  = "*"
        Condition = { StringNotEquals = { "iam:PermissionsBoundary" = boundary } }
      }
    ],
    [
      {
        Effect = "Allow"
        Action = [
          "iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:DeleteRole", "iam:UpdateRole",
          "iam:UpdateAssumeRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:ListInstanceProfilesForRole",
        ]
        Resource = local.made_roles
      },
      {
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = [for arn in local.made_roles : arn if can(regex("-(dispatch|hours|checks|scheduler)$", arn))]
        Condition = { StringEquals = { "iam:PassedToService" = ["lambda.amazonaws.com", "scheduler.amazonaws.com"] } }
      },
      {
        # Whoever plans and applies is the administrator's say, and so is who comes in from GitHub.
        Effect = "Deny"
        Action = [
          "iam:Create*", "iam:Put*", "iam:Update*", "iam:Delete*", "iam:Attach*", "iam:Detach*", "iam:Add*",
          "iam:Remove*", "iam:Tag*", "iam:Untag*", "iam:PassRole",
        ]
        Resource = concat(local.workflow_roles, [local.provider, local.reads_arn])
      },
      {
        Effect = "Allow"
        Action = [
          "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:TagResource", "cloudwatch:UntagResource",
        ]
        Resource = local.alarm_arns
      },
      {
        Effect   = "Allow"
        Action   = ["cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"]
        Resource = local.dashboard_arn
      },
      {
        Effect   = "Allow"
        Action   = ["sns:SetTopicAttributes", "sns:TagResource", "sns:UntagResource"]
        Resource = local.topic_arn
      },
      {
        Effect   = "Allow"
        Action   = ["budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"]
        Resource = local.budget_arn
      },
      {
        Effect = "Allow"
        Action = [
          "lambda:CreateFunction", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration",
          "lambda:DeleteFunction", "lambda:AddPermission", "lambda:RemovePermission",
          "lambda:PutFunctionEventInvokeConfig", "lambda:UpdateFunctionEventInvokeConfig",
          "lambda:DeleteFunctionEventInvokeConfig", "lambda:TagResource", "lambda:UntagResource",
        ]
        Resource = local.function_arns
      },
      {
        Effect = "Allow"
        Action = [
          "sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:DeleteQueue", "sqs:TagQueue", "sqs:UntagQueue",
        ]
        Resource = local.function_queues
      },
      {
        Effect = "Allow"
        Action = [
          "logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogGroup", "logs:AssociateKmsKey",
          "logs:DisassociateKmsKey", "logs:TagResource", "logs:UntagResource",
        ]
        Resource = local.function_logs
      },
      {
        # What has been acted on is in it for a quarter of an hour.
        Effect = "Allow"
        Action = [
          "dynamodb:CreateTable", "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive", "dynamodb:DeleteTable",
          "dynamodb:TagResource", "dynamodb:UntagResource",
        ]
        Resource = "arn:aws:dynamodb:${local.here}:table/${local.prefix}-events"
      },
      {
        Effect = "Allow"
        Action = [
          "events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:DeleteRule", "events:TagResource",
          "events:UntagResource",
        ]
        Resource = local.rule_arns
      },
      {
        Effect   = "Allow"
        Action   = ["scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"]
        Resource = local.schedule_arns
      },
      {
        # Functions and the table of events are encrypted by it.
        Effect   = "Allow"
        Action   = ["kms:CreateGrant", "kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource = local.key
        Condition = {
          StringEquals = { "kms:ViaService" = [for service in ["lambda", "dynamodb"] : "${service}.${local.region}.amazonaws.com"] }
        }
      },
    ],
  )
}

resource "aws_iam_role" "workflow" {
  for_each = toset(local.workflow_duties)

  name                 = "${local.prefix}-${each.key}"
  path                 = local.role_path
  max_session_duration = local.session_seconds
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Federated = local.provider }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = merge(
            {
              "${local.github}:aud" = "sts.amazonaws.com"
              "${local.github}:sub" = [for subject in local.workflow[each.key].subjects : "repo:${var.github_repository}:${subject}"]
            },
            local.workflow[each.key].more,
          )
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "workflow" {
  for_each = aws_iam_role.workflow

  name   = "mlops"
  role   = each.value.name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.workflow[each.key].grants })
}

# Beside the roles' own, whose length IAM limits: what both read.
resource "aws_iam_policy" "reads" {
  count = length(local.workflow_duties) > 0 ? 1 : 0

  name   = "${local.prefix}-infra"
  path   = local.role_path
  policy = jsonencode({ Version = "2012-10-17", Statement = local.read_made })
}

resource "aws_iam_role_policy_attachment" "reads" {
  for_each = aws_iam_role.workflow

  role       = each.value.name
  policy_arn = aws_iam_policy.reads[0].arn
}
