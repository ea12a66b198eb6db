# mlops.yaml, as the machinery reads it: names are made here as src/mlops/settings/project.py makes them.
locals {
  settings = yamldecode(file(var.settings))
  project  = local.settings.project
  region   = local.settings.region
  advanced = try(local.settings.scenario, "basic") == "advanced"
  last     = length(local.settings.environments) - 1

  # The path of the roles that are made here, and how their names begin.
  role_path = coalesce(try(local.settings.role_path, null), "/")
  own_role  = "${trimprefix(local.role_path, "/")}${local.project}-"

  environments = [
    for position, each in local.settings.environments : {
      name    = each.name
      account = tostring(each.account)
      bucket  = coalesce(try(each.bucket, null), "${local.project}-${each.name}-${each.account}")
      manual  = try(each.approval, "automatic") == "manual"
      # The project's key is everybody's who gives no other; null is none, and then one is made here.
      kms_key = try(each.kms_key, local.settings.kms_key, null)
      roles = {
        for duty in ["train", "deploy", "approve", "destroy", "prune", "monitor", "schedule", "image", "plan", "apply"] : duty => (
          startswith(coalesce(try(each.roles[duty], null), "-"), "arn:")
          ? each.roles[duty]
          : "arn:aws:iam::${each.account}:role/${coalesce(try(each.roles[duty], null), "${local.own_role}${each.name}-${duty}")}"
        )
      }

      execution_role = (
        startswith(coalesce(try(each.execution_role, null), "-"), "arn:")
        ? each.execution_role
        : "arn:aws:iam::${each.account}:role/${coalesce(try(each.execution_role, null), "${local.own_role}${each.name}-execution")}"
      )

      groups = (
        local.advanced && position == local.last
        ? ["${local.project}-${each.name}-champion", "${local.project}-${each.name}-challenger"]
        : ["${local.project}-${each.name}"]
      )
      endpoints = slice(
        ["${local.project}-${each.name}", "${local.project}-${each.name}-challenger"],
        0, position == 0 ? 0 : local.advanced && position == local.last ? 2 : 1
      )
    }
  ]

  position    = index(local.environments[*].name, var.environment)
  environment = local.environments[local.position]
  account     = local.environment.account
  prefix      = "${local.project}-${var.environment}"

  # The way of a model: what is promoted comes from the environment before, and goes to the one after.
  first  = local.position == 0
  before = local.position == 0 ? null : local.environments[local.position - 1]
  after  = local.position == local.last ? null : local.environments[local.position + 1]

  # What the settings name exists already and is left alone.
  given          = local.settings.environments[local.position]
  makes_bucket   = try(local.given.bucket, null) == null
  makes_role     = try(local.given.execution_role, null) == null
  makes_key      = local.environment.kms_key == null
  makes_duty     = { for duty in keys(local.environment.roles) : duty => try(local.given.roles[duty], null) == null }
  makes_provider = coalesce(var.create_oidc_provider, local.first_of_account == var.environment)

  first_of_account = [for each in local.environments : each.name if each.account == local.account][0]
}
