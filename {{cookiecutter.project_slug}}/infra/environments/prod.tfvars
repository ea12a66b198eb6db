environment = "prod"

# The repository on GitHub whose workflows may take the roles on: OWNER@OWNER_ID/REPOSITORY@ID, where
# `gh api repos/OWNER/REPOSITORY --jq '.owner.id, .id'` tells both ids.
# github_repository    = "OWNER@1/REPOSITORY@2"
# workflow_applies     = true # `mlops bootstrap aws` writes it where reviewers are asked
# notification_email   = "team@example.com"
# monthly_budget_usd   = 200
# permissions_boundary = "arn:aws:iam::111111111111:policy/boundary"
# latency_limit_ms     = 1000
# functions            = true # `mlops bootstrap aws` builds their zip
# slack_secret         = "churn-slack" # told what the checks of an endpoint found: docs/monitoring.md
