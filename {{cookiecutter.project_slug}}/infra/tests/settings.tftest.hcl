# What is planned for which settings. No AWS is asked: `terraform init -backend=false && terraform test`.
mock_provider "aws" {}

variables {
  settings             = "tests/mlops.yaml"
  environment          = "dev"
  github_repository    = "acme@1/churn@2"
  permissions_boundary = "arn:aws:iam::111111111111:policy/boundary"
  create_oidc_provider = null
  monthly_budget_usd   = null
  notification_email   = null
  people               = {}
  delete_data          = false
}

run "every_role_has_the_path_and_the_boundary" {
  command = plan

  variables {
    people = { operations = { principals = ["arn:aws:iam::111111111111:role/sso/Operations_*"], tags = { team = "mlops" } } }
  }

  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.duty), aws_iam_role.execution, values(aws_iam_role.person)) :
      role.path == "/mlops/" && role.permissions_boundary == var.permissions_boundary
    ])
    error_message = "A role has another path or no boundary."
  }

  assert {
    condition = (
      jsondecode(aws_iam_role.person["operations"].assume_role_policy).Statement[0].Condition.StringEquals ==
      { "aws:PrincipalTag/team" = "mlops" }
    )
    error_message = "A person's tag is not asked for."
  }
}

run "a_budget_counts_what_this_environment_costs" {
  command = plan

  variables { monthly_budget_usd = 200 }

  assert {
    condition     = flatten([for filter in aws_budgets_budget.month[0].cost_filter : filter.values]) == ["user:mlops:costs$churn-dev"]
    error_message = "The budget counts by another tag."
  }
}

run "names_are_made_with_the_path" {
  command = plan

  assert {
    condition     = local.environment.roles.destroy == "arn:aws:iam::111111111111:role/mlops/churn-dev-destroy"
    error_message = "The destroy role is ${local.environment.roles.destroy}."
  }

  # A role that exists already keeps the path that it has.
  assert {
    condition     = local.readers[0].role == "arn:aws:iam::222222222222:role/platform/rollouts"
    error_message = "Dev's bucket is read by ${local.readers[0].role}."
  }
}

run "what_exists_is_left_alone" {
  command = plan

  variables { environment = "prod" }

  assert {
    condition = (
      length(aws_s3_bucket.environment) == 0 && length(aws_kms_key.environment) == 0 &&
      length(aws_iam_role.execution) == 0 && !contains(keys(aws_iam_role.duty), "deploy") &&
      contains(keys(aws_iam_role.duty), "approve")
    )
    error_message = "Something is made that the settings say is there."
  }

  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == "arn:aws:kms:eu-west-1:222222222222:key/11111111-2222-3333-4444-555555555555"
    error_message = "The topic is not under the environment's own key."
  }
}

run "an_account_has_one_identity_provider_and_one_secret" {
  command = plan

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && length(aws_secretsmanager_secret.github_app) == 0
    error_message = "The account's second environment makes what the first one has made."
  }
}

run "a_network_is_entered_and_may_have_endpoints" {
  command = plan

  variables { vpc_endpoints = { vpc_id = "vpc-0a1b", route_tables = ["rtb-0a1b"] } }

  assert {
    condition     = length(local.enter_network) == 1 && length(aws_vpc_endpoint.s3) == 1
    error_message = "The execution role can not enter the network, or S3 has no way in."
  }

  assert {
    condition = toset(keys(aws_vpc_endpoint.interface)) == toset([
      "sagemaker.api", "sagemaker.runtime", "sts", "logs", "monitoring", "kms", "ecr.api", "ecr.dkr",
    ])
    error_message = "A service that jobs, endpoints or pulls of images need has no way in."
  }

  assert {
    condition     = alltrue([for each in aws_vpc_endpoint.interface : each.private_dns_enabled && length(each.subnet_ids) == 1])
    error_message = "An endpoint is not in the settings' subnets, or not found by its usual name."
  }
}

run "a_budget_is_made_where_its_limit_is_given" {
  command = plan

  variables { monthly_budget_usd = 200 }

  assert {
    condition     = one(aws_budgets_budget.month[*].limit_amount) == "200"
    error_message = "There is no budget of 200 dollars."
  }

  assert {
    condition = {
      for each in aws_budgets_budget.month[0].notification : each.notification_type => each.threshold
    } == { ACTUAL = 80, FORECASTED = 100 }
    error_message = "Nobody is told when the budget runs out."
  }
}

run "data_outlive_a_mistake" {
  command = plan

  variables { environment = "feature" }

  assert {
    condition = (
      alltrue([for each in aws_s3_bucket.environment : !each.force_destroy]) && length(aws_s3_bucket.environment) == 1 &&
      !aws_ecr_repository.images[0].force_delete && aws_secretsmanager_secret.github_app[0].recovery_window_in_days == 30
    )
    error_message = "A destroy takes data, images or the App's key with it."
  }
}

run "what_endpoints_are_held_to_outlives_a_mistake" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.checks[0].deletion_protection_enabled
    error_message = "The table may be deleted."
  }
}

run "whoever_wants_to_be_told_is" {
  command = plan

  variables { notification_email = "team@example.com" }

  assert {
    condition     = one(aws_sns_topic_subscription.email[*].protocol) == "email" && one(aws_sns_topic_subscription.email[*].endpoint) == "team@example.com"
    error_message = "Nobody subscribes to the topic."
  }
}

run "a_provider_that_is_there_is_not_made_again" {
  command = plan

  variables {
    environment          = "feature"
    create_oidc_provider = false
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "AWS has one provider of an address in an account."
  }
}

run "a_repository_with_a_wildcard_is_refused" {
  command = plan
  variables { github_repository = "acme/*" }
  expect_failures = [var.github_repository]
}

run "everybody_of_an_account_is_nobody" {
  command = plan
  variables { people = { operations = { principals = ["arn:aws:iam::111111111111:role/*"] } } }
  expect_failures = [var.people]
}

run "a_role_for_people_that_does_not_exist_is_refused" {
  command = plan
  variables { people = { operator = { principals = ["arn:aws:iam::111111111111:role/sso/Operations"] } } }
  expect_failures = [var.people]
}

run "an_address_that_lets_write_into_slack_is_refused" {
  command = plan
  variables { slack_secret = "https://hooks.slack.com/services/T0/B0/x" }
  expect_failures = [var.slack_secret]
}

run "a_boundary_is_an_arn" {
  command = plan
  variables { permissions_boundary = "boundary" }
  expect_failures = [var.permissions_boundary]
}

run "an_older_repository_is_trusted_as_it_names_itself" {
  command = plan

  variables { github_repository = "acme/churn" }

  assert {
    condition = (
      jsondecode(aws_iam_role.duty["deploy"].assume_role_policy).Statement[1].Condition.StringEquals
      == { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com", "token.actions.githubusercontent.com:sub" = ["repo:acme/churn:environment:dev"], "token.actions.githubusercontent.com:ref" = ["refs/heads/dev", "refs/heads/main"] }
    )
    error_message = "The deploy role trusts ${aws_iam_role.duty["deploy"].assume_role_policy}."
  }
}

run "where_github_asks_nobody_no_workflow_approves" {
  command = plan

  variables { workflow_approves = false }

  assert {
    condition = (
      length(jsondecode(aws_iam_role.duty["approve"].assume_role_policy).Statement) == 1
      && length(jsondecode(aws_iam_role.duty["deploy"].assume_role_policy).Statement) == 2
    )
    error_message = "The approve role trusts ${aws_iam_role.duty["approve"].assume_role_policy}."
  }
}
