# A role for each duty: what a workflow holds while it does one thing, and what SageMaker holds for jobs and endpoints.
locals {
  # Duty → the GitHub environments in which a job has to run to take its role on.
  gates = merge(
    # Housekeeping is for people: no workflow takes its role on.
    { deploy = [var.environment], prune = [] },
    local.first ? { train = [var.environment], image = [var.environment] } : {
      destroy             = [var.environment]
      monitor             = [var.environment]
      schedule            = [var.environment]
      # An approval's environment is the one that waits for reviewers.
      approve = [
        for endpoint in local.environment.endpoints : "${trimprefix(endpoint, "${local.project}-")}-approval"
        if var.workflow_approves
      ]
    },
  )
  duties = { for duty, gates in local.gates : duty => gates if local.makes_duty[duty] }

  grants = {
    train    = local.train
    deploy   = local.deploy
    approve  = local.approve
    destroy  = local.destroy
    prune    = local.prune
    monitor  = local.monitor
    schedule = local.schedule
    image    = local.image
  }

  github   = "token.actions.githubusercontent.com"
  provider = "arn:aws:iam::${local.account}:oidc-provider/${local.github}"

  # The branches whose jobs come in: all where models are trained, main alone in the last environment.
  branches = local.first ? [] : local.after == null ? ["main"] : ["dev", "main"]
  refs     = [for branch in local.branches : "refs/heads/${branch}"]

  # As long as the longest wait for a rollout.
  session_seconds = 14400
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_repository != null && local.makes_provider ? 1 : 0

  url            = "https://${local.github}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "duty" {
  for_each = local.duties

  name                 = "${local.prefix}-${each.key}"
  path                 = local.role_path
  max_session_duration = local.session_seconds
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          # The account's own people, whom their own policies have to let take the role on.
          Effect    = "Allow"
          Principal = { AWS = "arn:aws:iam::${local.account}:root" }
          Action    = "sts:AssumeRole"
        },
      ],
      [
        for repository in length(each.value) > 0 ? compact([var.github_repository]) : [] : {
          Effect    = "Allow"
          Principal = { Federated = local.provider }
          Action    = "sts:AssumeRoleWithWebIdentity"
          Condition = {
            StringEquals = merge(
              {
                "${local.github}:aud" = "sts.amazonaws.com"
                "${local.github}:sub" = [for gate in each.value : "repo:${repository}:environment:${gate}"]
              },
              # Not only by the rules of that environment, which anybody may have made who made it first.
              { for claim, refs in { "${local.github}:ref" = local.refs } : claim => refs if length(refs) > 0 },
            )
          }
        }
      ],
    )
  })
}

resource "aws_iam_role_policy" "duty" {
  for_each = aws_iam_role.duty

  name   = "mlops"
  role   = each.value.name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.grants[each.key] })
}

resource "aws_iam_role" "execution" {
  count = local.makes_role ? 1 : 0

  name                 = "${local.prefix}-execution"
  path                 = local.role_path
  max_session_duration = local.session_seconds
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "sagemaker.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "execution" {
  count = local.makes_role ? 1 : 0

  name   = "mlops"
  role   = aws_iam_role.execution[0].name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.execution })
}
