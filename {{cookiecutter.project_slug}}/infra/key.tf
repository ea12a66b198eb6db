# The key of everything that the environment keeps. Whoever administers the account administers the key.
resource "aws_kms_key" "environment" {
  count = local.makes_key ? 1 : 0

  description             = "Data and models of ${local.prefix}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = jsonencode({ Version = "2012-10-17", Statement = local.key_policy })
}

resource "aws_kms_alias" "environment" {
  count = local.makes_key ? 1 : 0

  name          = "alias/${local.prefix}"
  target_key_id = aws_kms_key.environment[0].key_id
}

locals {
  key = local.makes_key ? aws_kms_key.environment[0].arn : local.environment.kms_key

  # The key of the environment before, when it is another. One that exists already is named. Of one that is made here
  # nobody knows the name: its policy says which it is, and is enough in the same account; in another one both sides
  # have to allow.
  keys_before = [
    for each in local.before[*] : coalesce(each.kms_key, "arn:aws:kms:${local.region}:${each.account}:key/*")
    if each.kms_key == null ? each.account != local.account : each.kms_key != local.environment.kms_key
  ]

  key_policy = concat(
    [
      {
        Sid       = "Administration"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        # Without it an alarm can not be sent to a topic under this key.
        Sid       = "Notifications"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        # The logs of functions are under it.
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:${local.here}:log-group:/aws/lambda/${local.prefix}-*" }
        }
      },
    ],
    [
      for reader in local.readers : {
        # The role by a condition, and no wildcard in it: see `readers`.
        Sid       = "Promotion"
        Effect    = "Allow"
        Principal = { AWS = "*" }
        Action    = ["kms:Decrypt", "kms:DescribeKey"]
        Resource  = "*"
        Condition = { ArnEquals = { "aws:PrincipalArn" = reader.role } }
      }
    ],
  )

  # AWS refuses a policy that names a role which is not there yet, and forgets one that was made anew: so a
  # condition names the role.
  readers = [
    for each in local.after[*] : {
      account = "arn:aws:iam::${split(":", each.roles.deploy)[4]}:root"
      role    = each.roles.deploy
    }
  ]
}
