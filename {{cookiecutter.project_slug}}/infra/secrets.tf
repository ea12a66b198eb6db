# The private key of the GitHub App that starts workflows. Only the place for it is made here: a value in Terraform would
# be in its state.
resource "aws_secretsmanager_secret" "github_app" {
  #checkov:skip=CKV_AWS_149:it is under AWS's own key, so that whoever may read it needs no other right
  #checkov:skip=CKV2_AWS_57:GitHub has no call that makes an App's key anew: a person does it
  # An account's environments share it.
  count = local.first_of_account == var.environment ? 1 : 0

  name        = "${local.project}-github-app"
  description = "GitHub App of ${local.project}: app id, installation id, private key"
  # Without data to keep, the name is free again at once.
  recovery_window_in_days = var.delete_data ? 0 : 30
}
