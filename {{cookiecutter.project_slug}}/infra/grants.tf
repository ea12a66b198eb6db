# The least that each duty needs: the same grants as the sandbox's (sandbox/grants.py), under which every command runs
# on a laptop. A right that is missing here was missing there first.
locals {
  here       = "${local.region}:${local.account}"
  alarm_arns = ["arn:aws:cloudwatch:${local.here}:alarm:${local.prefix}*"]
  # The settings may name alarms that others have made.
  watched_arns = concat(local.alarm_arns, [for name in local.named_alarms : "arn:aws:cloudwatch:${local.here}:alarm:${name}"])

  # Jobs and endpoints: read the bucket, log, measure, see their alarms (auto-rollback asks for that). They write what
  # they make and nothing else: their code is any branch's, and versions and digests are kept beside it.
  execution = concat(local.use_key, local.enter_network, [
    { Effect = "Allow", Action = ["s3:ListBucket"], Resource = local.bucket_arn },
    { Effect = "Allow", Action = ["s3:GetObject"], Resource = "${local.bucket_arn}/*" },
    {
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
      Resource = [for part in ["jobs", "captures", "batch/output"] : "${local.bucket_arn}/${part}/*"]
    },
    {
      Effect   = "Allow"
      Action   = "cloudwatch:PutMetricData"
      Resource = "*"
      # What the alarms on drift and by hand look at: the code of a branch may not raise production's.
      Condition = { StringNotLike = { "cloudwatch:namespace" = ["mlops", "mlops/*"] } }
    },
    { Effect = "Allow", Action = "cloudwatch:DescribeAlarms", Resource = local.watched_arns },
    {
      Effect   = "Allow"
      Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      Resource = local.log_groups
    },
    {
      Effect = "Allow"
      Action = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
      # AWS's own images lie in accounts of AWS; SageMaker takes only those of its region.
      Resource = "arn:aws:ecr:${local.region}:*:repository/*"
    },
    { Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
  ])

  # Jobs under the execution role, data and artefacts, versions of its own group. The later groups are read too: the
  # report compares a new model with what serves.
  train = concat(
    local.use_bucket, local.use_key, local.run_jobs["train"], local.read_logs["train"], local.pass_role,
    flatten([for each in local.environments : local.read_groups[each.name]]),
    [
      {
        # The commits that wait for a job are its tags.
        Effect   = "Allow"
        Action   = "sagemaker:ListTags"
        Resource = [for kind in keys(local.job_kinds) : "arn:aws:sagemaker:${local.here}:${kind}/${local.prefix}-*"]
      },
      { Effect = "Allow", Action = "sagemaker:CreateModelPackage", Resource = local.created },
    ],
  )

  # Copy from the environment before, register, serve, watch, roll back.
  deploy = concat(
    local.use_bucket, local.use_key, local.run_jobs["deploy"], local.read_logs["deploy"], local.pass_role,
    local.read_groups[var.environment], local.read_former, local.register, local.serve, local.scale,
    local.leave_checks, local.read_before,
  )

  # Look, then approve or reject: nothing can be deployed with it.
  approve = concat(local.read_groups[var.environment], local.trial, [
    {
      Effect   = "Allow"
      Action   = "sagemaker:UpdateModelPackage"
      Resource = local.versions[var.environment]
      Condition = {
        StringEquals = { "sagemaker:ModelApprovalStatus" = ["Approved", "Rejected"] }
        Null = merge(
          { for key in concat(local.origin, local.gate, local.trial_notes) : "${local.metadata}/${key}" => "true" },
          { "${local.metadata}ToRemove" = "true" },
        )
      }
    },
  ])

  # Look at versions, files and hosting, and delete what nothing uses; never an endpoint.
  prune = concat(
    [
      {
        Effect = "Allow"
        Action = ["sagemaker:ListModelPackages", "sagemaker:DescribeModelPackage"]
        Resource = [
          for end in ["", "-champion", "-challenger"] :
          "arn:aws:sagemaker:${local.here}:model-package/${local.prefix}${end}/*"
        ]
      },
      { Effect = "Allow", Action = "s3:ListBucket", Resource = local.bucket_arn },
      {
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = [for part in ["models", "baselines", "jobs"] : "${local.bucket_arn}/${part}/*"]
      },
    ],
    [
      for first in [local.before == null] :
      { Effect = "Allow", Action = "sagemaker:DeleteModelPackage", Resource = local.versions[var.environment] } if first
    ],
    [
      for kind, actions in {
        "endpoint-config" = ["sagemaker:DescribeEndpointConfig", "sagemaker:DeleteEndpointConfig", "sagemaker:ListTags"]
        "endpoint"        = ["sagemaker:DescribeEndpoint"]
        "model"           = ["sagemaker:DeleteModel"]
        } : {
        Effect   = "Allow"
        Action   = actions
        Resource = [for name in local.served : "arn:aws:sagemaker:${local.here}:${kind}/${name}"]
      } if length(local.served) > 0
    ],
    [
      for serves in [length(local.served) > 0] : {
        Effect   = "Allow"
        Action   = ["sagemaker:ListModels", "sagemaker:ListEndpointConfigs", "sagemaker:ListEndpoints"]
        Resource = ["*"]
      } if serves
    ],
  )
}

# Look at the endpoints and delete them: nothing can be made with it.
locals {
  destroy = concat(local.end_scaling, local.keep_stopped, [
    { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = local.key },
    {
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"]
      Resource = [for name in local.served : "arn:aws:sagemaker:${local.here}:endpoint/${name}"]
    },
  ])
}

# Look at what endpoints were asked and what they serve, and measure in a namespace of its own.
locals {
  monitor = concat(
    [
      { Effect = "Allow", Action = ["s3:ListBucket"], Resource = local.bucket_arn },
      {
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [for part in ["captures", "baselines"] : "${local.bucket_arn}/${part}/*"]
      },
      { Effect = "Allow", Action = ["kms:Decrypt", "kms:DescribeKey"], Resource = local.key },
    ],
    [
      for kind, noun in { "model" = "Model", "endpoint-config" = "EndpointConfig", "endpoint" = "Endpoint" } : {
        Effect                    = "Allow"
        Action                    = "sagemaker:Describe${noun}"
        Resource                  = [for name in local.served : "arn:aws:sagemaker:${local.here}:${kind}/${name}"]
      }
    ],
    [
      { Effect = "Allow", Action = "sagemaker:DescribeModelPackage", Resource = local.versions[var.environment] },
      {
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringEquals = { "cloudwatch:namespace" = "mlops" } }
      },
    ],
  )
}

# Buckets and keys.
locals {
  use_bucket = [
    { Effect = "Allow", Action = ["s3:ListBucket"], Resource = local.bucket_arn },
    {
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
      Resource = "${local.bucket_arn}/*"
    },
  ]

  use_key = [
    {
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:CreateGrant"]
      Resource = local.key
    },
  ]

  read_before = flatten([
    for before in local.before[*] : [
      {
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = ["arn:aws:s3:::${before.bucket}"]
      },
      {
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [for part in local.promoted : "arn:aws:s3:::${before.bucket}/${part}/*"]
      },
      [
        for key in local.keys_before :
        { Effect = "Allow", Action = ["kms:Decrypt", "kms:DescribeKey"], Resource = [key] }
      ],
      local.read_groups[before.name],
    ]
  ])
}

# Jobs and logs.
locals {
  log_start  = "arn:aws:logs:${local.here}:log-group:/aws/sagemaker"
  log_groups = "${local.log_start}/*"

  job_kinds = { "training-job" = "TrainingJob", "processing-job" = "ProcessingJob" }

  # Where models are served they may be served in batch; a change of kind asks no administrator.
  batch_kinds = {
    for kind, noun in { "transform-job" = "TransformJob" } : kind => noun if length(local.environment.endpoints) > 0
  }
  kinds_of = {
    train = merge(local.job_kinds, local.batch_kinds)
    # A later environment judges what it is given, and trains nothing.
    deploy = merge(
      { for kind, noun in local.job_kinds : kind => noun if kind == "processing-job" }, local.batch_kinds,
    )
  }

  run_jobs = {
    for duty, kinds in local.kinds_of : duty => [
      for kind, noun in kinds : {
        Action   = ["sagemaker:Create${noun}", "sagemaker:Describe${noun}", "sagemaker:Stop${noun}", "sagemaker:AddTags"]
        Effect   = "Allow"
        Resource = "arn:aws:sagemaker:${local.here}:${kind}/${local.prefix}-*"
      }
    ]
  }

  # The logs of its own jobs. All jobs of an account share a group; a list of its streams has their names in it.
  read_logs = {
    for duty, kinds in local.kinds_of : duty => [
      {
        Effect   = "Allow"
        Action   = "logs:DescribeLogStreams"
        Resource = [for kind, noun in kinds : "${local.log_start}/${noun}s:*"]
      },
      {
        Effect   = "Allow"
        Action   = "logs:GetLogEvents"
        Resource = [for kind, noun in kinds : "${local.log_start}/${noun}s:log-stream:${local.prefix}-*"]
      },
    ]
  }

  pass_role = [
    {
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = local.environment.execution_role
      Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
    },
  ]
}

# Model groups and their versions.
locals {
  versions = {
    for each in local.environments : each.name => [
      for group in each.groups : "arn:aws:sagemaker:${local.region}:${each.account}:model-package/${group}/*"
    ]
  }

  read_groups = {
    for each in local.environments : each.name => [
      {
        Effect = "Allow"
        Action = ["sagemaker:DescribeModelPackageGroup"]
        Resource = [
          for group in each.groups : "arn:aws:sagemaker:${local.region}:${each.account}:model-package-group/${group}"
        ]
      },
      {
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
        Resource = local.versions[each.name]
      },
    ]
  }

  # A version is made in a group: AWS lists both as resources of the action (Service Authorization Reference).
  created = concat(
    local.versions[var.environment],
    [for group in local.environment.groups : "arn:aws:sagemaker:${local.here}:model-package-group/${group}"],
  )

  # After a switch of the scenario the history of the groups before it is read on.
  read_former = [
    for last in [local.after == null] : {
      Effect = "Allow"
      Action = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
      Resource = [
        for end in local.advanced ? [""] : ["-champion", "-challenger"] :
        "arn:aws:sagemaker:${local.here}:model-package/${local.prefix}${end}/*"
      ]
    } if last
  ]

  # Before a champion is approved: what its model has served as challenger.
  trial = flatten([
    for position, endpoint in local.environment.endpoints : [
      {
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeEndpoint"]
        Resource = ["arn:aws:sagemaker:${local.here}:endpoint/${endpoint}"]
      },
      { Effect = "Allow", Action = ["cloudwatch:GetMetricStatistics"], Resource = ["*"] },
    ] if position == 1
  ])
}

# Models, endpoints and what is seen of them.
locals {
  # The challenger's endpoint has the same beginning.
  served = flatten([
    for name in slice(concat(local.environment.endpoints, [""]), 0, 1) : [name, "${name}-*"] if name != ""
  ])

  serve = [
    for statement in concat(
      [
        for kind, noun in { "model" = "Model", "endpoint-config" = "EndpointConfig", "endpoint" = "Endpoint" } : {
          Action = concat(["sagemaker:Describe${noun}", "sagemaker:AddTags"], {
            "model"           = ["sagemaker:CreateModel"]
            "endpoint-config" = ["sagemaker:CreateEndpointConfig", "sagemaker:ListTags"]
            "endpoint"        = ["sagemaker:DeleteEndpoint", "sagemaker:InvokeEndpoint"]
          }[kind])
          Resource = [for name in local.served : "arn:aws:sagemaker:${local.here}:${kind}/${name}"]
        }
      ],
      [
        {
          # Both are asked on the configuration too (Service Authorization Reference, Amazon SageMaker).
          Action = ["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"]
          Resource = [
            for pair in setproduct(["endpoint", "endpoint-config"], local.served) :
            "arn:aws:sagemaker:${local.here}:${pair[0]}/${pair[1]}"
          ]
        },
        { Action = ["sagemaker:ListEndpointConfigs"], Resource = ["*"] },
        { Action = ["cloudwatch:DescribeAlarms"], Resource = local.watched_arns },
        # Raising the manual alarm is how a person stops a rollout; the others are raised by what the endpoint measures.
        { Action = ["cloudwatch:SetAlarmState"], Resource = [for arn in local.alarm_arns : "${arn}-manual"] },
        { Action = ["cloudwatch:GetMetricStatistics"], Resource = ["*"] },
      ],
    ) : merge({ Effect = "Allow" }, statement) if length(local.served) > 0
  ]
}
