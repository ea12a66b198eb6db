# Where images of one's own are kept: one repository for the project, in the account of its first environment. Jobs and
# endpoints of the other accounts pull from it.
locals {
  makes_repository = local.first
  pullers = distinct([
    for each in local.environments : "arn:aws:iam::${each.account}:root" if each.account != local.account
  ])
  repository_arn = "arn:aws:ecr:${local.here}:repository/${local.project}"
}

resource "aws_ecr_repository" "images" {
  count = local.makes_repository ? 1 : 0

  name = local.project
  # An image is named by its digest in mlops.yaml; a tag that moves would only mislead.
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.delete_data

  image_scanning_configuration { scan_on_push = true }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = local.key
  }
}

resource "aws_ecr_lifecycle_policy" "images" {
  count = local.makes_repository ? 1 : 0

  repository = aws_ecr_repository.images[0].name
  # Images with a tag stay: a model of years ago is trained again in its own.
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Leftovers of pushes that failed"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }
        action       = { type = "expire" }
      },
    ]
  })
}

resource "aws_ecr_repository_policy" "images" {
  count = local.makes_repository && length(local.pullers) > 0 ? 1 : 0

  repository = aws_ecr_repository.images[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Pull"
        Effect    = "Allow"
        Principal = { AWS = local.pullers }
        Action    = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
      },
    ]
  })
}

# What a push of an image needs (Amazon ECR user guide, "IAM permissions for pushing an image"); docker makes all of the
# calls but the first two itself.
locals {
  image = [
    { Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
    {
      Effect = "Allow"
      Action = [
        "ecr:DescribeImages", "ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload", "ecr:PutImage", "ecr:BatchGetImage",
      ]
      Resource = local.repository_arn
    },
  ]
}
