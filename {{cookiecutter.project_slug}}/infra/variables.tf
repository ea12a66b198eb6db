variable "environment" {
  description = "Name of an environment in mlops.yaml."
  type        = string
}

variable "settings" {
  description = "The project's settings: names, accounts, region, and what exists already."
  type        = string
  default     = "../mlops.yaml"
}

variable "github_repository" {
  description = <<-EOT
    The repository whose workflows the roles trust, as GitHub names it in its tokens: OWNER@OWNER_ID/REPOSITORY@ID.
    Repositories made before 2026-07-15, and GitHub Enterprise Server, send OWNER/REPOSITORY. Without it only the
    account's own people can take the roles on.
  EOT
  type        = string
  default     = null

  validation {
    # No wildcard: a subject that fits more than one repository lets a stranger's workflow in.
    condition = (
      var.github_repository == null ||
      can(regex("^[A-Za-z0-9-]+(@[0-9]+)?/[A-Za-z0-9._-]+(@[0-9]+)?$", var.github_repository))
    )
    error_message = "github_repository is OWNER@OWNER_ID/REPOSITORY@ID, or OWNER/REPOSITORY for an older one."
  }
}

variable "workflow_approves" {
  description = <<-EOT
    Whether workflows take the approving role on, after GitHub has asked reviewers where a person approves. `mlops bootstrap aws`
    sets it to false where GitHub asks nobody: a workflow could approve past the registry's door else.
  EOT
  type        = bool
  default     = true
}

variable "workflow_applies" {
  description = <<-EOT
    Whether the workflow infra.yml applies what reviewers have approved: then there is a role for it, which makes roles.
    `mlops bootstrap aws` sets it where GitHub asks reviewers; else administrators apply, and workflows plan only.
  EOT
  type        = bool
  default     = false
}

variable "create_oidc_provider" {
  description = <<-EOT
    Whether GitHub's identity provider is made here. An account can have one of them: by default the account's first
    environment makes it. Give false everywhere when the account has one already.
  EOT
  type        = bool
  default     = null
}

variable "permissions_boundary" {
  description = "ARN of the policy that no role made here may exceed."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:aws[a-z-]*:iam::", var.permissions_boundary))
    error_message = "permissions_boundary is the ARN of an IAM policy."
  }
}

variable "people" {
  description = <<-EOT
    Who may take on the roles of people in this environment: data-scientist, ml-engineer or operations → the ARNs of
    the roles that people have by single sign-on, `*` in place of the suffix that AWS gives them, and the session tags
    that they have to have, if any.
  EOT
  type = map(object({
    principals = list(string)
    tags       = optional(map(string), {})
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.people), ["data-scientist", "ml-engineer", "operations"])) == 0
    error_message = "people has data-scientist, ml-engineer and operations."
  }

  validation {
    # A wildcard in the account or in place of the whole name would let strangers in.
    condition = alltrue([
      for principal in flatten([for each in values(var.people) : each.principals]) :
      can(regex("^arn:aws:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{4,}\\*?$", principal))
    ])
    error_message = "people.*.principals are ARNs of roles; a `*` may only be the end of a name, as in arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Science_*."
  }

  validation {
    condition     = alltrue([for each in values(var.people) : length(each.principals) > 0])
    error_message = "people.*.principals is empty: leave the role out."
  }
}

variable "vpc_endpoints" {
  description = <<-EOT
    The network of the subnets in mlops.yaml and its route tables, when its way to AWS's services is made here: an
    interface endpoint for each service and a gateway for S3. The security groups have to let HTTPS in from themselves.
  EOT
  type        = object({ vpc_id = string, route_tables = list(string) })
  default     = null
}

variable "functions" {
  description = <<-EOT
    Whether functions act on events in AWS. One starts workflows: at an approval in the registry, the end of a job, drift;
    it needs github_repository and the GitHub App's key in its secret. One checks an endpoint that comes to serve. Both
    need the zip that `uv run python -m lambdas.package` builds.
  EOT
  type        = bool
  default     = false
}

variable "slack_secret" {
  description = <<-EOT
    Name or ARN of the secret that holds the address of a Slack webhook, where what came of an endpoint's checks is told
    beside the topic. Somebody makes and fills it: a value in Terraform would be in its state (docs/monitoring.md).
  EOT
  type        = string
  default     = null

  validation {
    condition = (
      var.slack_secret == null ||
      can(regex("^(arn:aws:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@-]{1,512}$", var.slack_secret))
    )
    error_message = "slack_secret is the name or the ARN of a secret of Secrets Manager, not the webhook's address."
  }
}

variable "latency_limit_ms" {
  description = "A model that takes longer than this on average, over a minute, is rolled back."
  type        = number
  default     = 1000

  validation {
    condition     = var.latency_limit_ms > 0
    error_message = "latency_limit_ms is more than 0."
  }
}

variable "notification_email" {
  description = "Who is told of an alarm and of the budget; without it only the topic is there."
  type        = string
  default     = null
}

variable "monthly_budget_usd" {
  description = <<-EOT
    The costs of this environment in a month, of which 80 % and the forecast are told. They are counted by the tag
    `mlops:costs`, which has to be made a cost allocation tag first, in the billing console of the paying account.
  EOT
  type        = number
  default     = null
}

variable "delete_data" {
  description = "Whether `terraform destroy` deletes the bucket, images and checks with all that is in them; else it refuses."
  type        = bool
  default     = false
}
