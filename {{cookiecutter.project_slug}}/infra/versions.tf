terraform {
  # 1.10 is the first whose state in S3 is locked without a table (use_lockfile).
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }

  # Bucket, key and region of the state are given to `terraform init`, see docs/infrastructure.md: each environment has its own.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = local.region

  # With the credentials of another account nothing is planned: its resources would all be new.
  allowed_account_ids = [local.account]

  default_tags {
    tags = merge(try(local.settings.tags, {}), {
      environment   = var.environment
      managed-by    = "terraform"
      "mlops:costs" = local.prefix # jobs and endpoints have it too: the budget counts by it
    })
  }
}
