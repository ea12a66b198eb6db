# What an endpoint is asked once it serves, by its name: the configurations of the project's checks. Whoever fills the
# table changes a check without a deployment.
resource "aws_dynamodb_table" "checks" {
  count = length(local.environment.endpoints) > 0 ? 1 : 0

  name                        = "${local.prefix}-checks"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "endpoint"
  deletion_protection_enabled = !var.delete_data

  attribute {
    name = "endpoint"
    type = "S"
  }

  point_in_time_recovery { enabled = true }

  server_side_encryption {
    enabled     = true
    kms_key_arn = local.key
  }
}
