# The private key of the GitHub App that starts workflows. Only the place for it is made here: a value in Terraform would
# be in its state.
resource "aws_secretsmanager_secret" "github_app" {
  # An account's environments share it. It is under AWS's own key, so that whoever may read it needs no other right.
  count = local.first_of_account == var.environment ? 1 : 0

  name        = "${local.project}-github-app"
  description = "GitHub App of ${local.project}: app id, installation id, private key"
  # Without data to keep, the name is free again at once.
  recovery_window_in_days = var.delete_data ? 0 : 30
}
