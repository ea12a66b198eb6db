# One bucket for each environment: data under dvc/ and data/, what jobs wrote under jobs/, models/ and baselines/,
# what endpoints were asked under captures/, and files that went through a model in batch under batch/.
locals {
  buckets = toset(local.makes_bucket ? [local.environment.bucket] : [])
}

resource "aws_s3_bucket" "environment" {
  #checkov:skip=CKV_AWS_18:CloudTrail's data events say who read what; an account turns them on for its buckets together
  #checkov:skip=CKV_AWS_144:it is versioned; a copy in another region is for those to decide whose data it is
  #checkov:skip=CKV2_AWS_61:it has one, below: the check does not follow for_each
  #checkov:skip=CKV2_AWS_62:nothing waits for objects
  for_each = local.buckets

  bucket        = each.key
  force_destroy = var.delete_data
}

resource "aws_s3_bucket_versioning" "environment" {
  for_each = aws_s3_bucket.environment

  bucket = each.value.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "environment" {
  for_each = aws_s3_bucket.environment

  bucket = each.value.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.key
    }
  }
}

resource "aws_s3_bucket_public_access_block" "environment" {
  for_each = aws_s3_bucket.environment

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "environment" {
  for_each = aws_s3_bucket.environment

  bucket = each.value.id
  rule { object_ownership = "BucketOwnerEnforced" }
}

resource "aws_s3_bucket_lifecycle_configuration" "environment" {
  for_each = aws_s3_bucket_versioning.environment

  bucket = each.value.bucket

  rule {
    id     = "captures"
    status = "Enabled"
    filter { prefix = "captures/" }
    expiration { days = 90 }
    # In a versioned bucket the expired one only becomes noncurrent.
    noncurrent_version_expiration { noncurrent_days = 1 }
  }

  rule {
    id     = "batch"
    status = "Enabled"
    # Whole files of rows and their answers; no version points at them.
    filter { prefix = "batch/" }
    expiration { days = 90 }
    noncurrent_version_expiration { noncurrent_days = 1 }
  }

  rule {
    id     = "leftovers"
    status = "Enabled"
    filter {}
    # What was overwritten or deleted can be had back for a year; the current version of a model never expires.
    noncurrent_version_expiration { noncurrent_days = 365 }
    abort_incomplete_multipart_upload { days_after_initiation = 7 }
  }
}

resource "aws_s3_bucket_policy" "environment" {
  for_each = aws_s3_bucket_public_access_block.environment

  bucket = each.value.bucket
  policy = jsonencode({ Version = "2012-10-17", Statement = local.bucket_policy })
}

locals {
  bucket_arn = "arn:aws:s3:::${local.environment.bucket}"

  # The parts of a bucket that the next environment's deploy role reads: artefacts, and what they are compared by.
  promoted = ["models", "baselines"]

  bucket_policy = concat(
    [
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ],
    [
      for reader in local.readers : {
        Sid       = "PromotionLists"
        Effect    = "Allow"
        Principal = { AWS = reader.account }
        Action    = ["s3:ListBucket"]
        Resource  = local.bucket_arn
        Condition = { ArnEquals = { "aws:PrincipalArn" = reader.role } }
      }
    ],
    [
      for reader in local.readers : {
        Sid       = "PromotionReads"
        Effect    = "Allow"
        Principal = { AWS = reader.account }
        Action    = ["s3:GetObject"]
        Resource  = [for part in local.promoted : "${local.bucket_arn}/${part}/*"]
        Condition = { ArnEquals = { "aws:PrincipalArn" = reader.role } }
      }
    ],
  )
}
