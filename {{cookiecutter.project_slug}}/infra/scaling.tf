# Autoscaling: the service makes its alarms and, the first time, its role with the rights of who asks for it.
locals {
  scaling_service = "sagemaker.application-autoscaling.amazonaws.com"
  scaling_targets = "arn:aws:application-autoscaling:${local.here}:scalable-target/*"
  scaling_alarms  = [for name in local.served : "arn:aws:cloudwatch:${local.here}:alarm:TargetTracking-endpoint/${name}/*"]
  of_sagemaker    = { StringEquals = { "application-autoscaling:service-namespace" = "sagemaker" } }

  # Deleting an endpoint that scales needs it too. Statements differ in form: they are made by concat.
  end_scaling = [
    for statement in concat(
      [
        {
          Action    = ["application-autoscaling:DeregisterScalableTarget"]
          Resource  = [local.scaling_targets]
          Condition = local.of_sagemaker
        },
      ],
      [{ Action = ["cloudwatch:DeleteAlarms"], Resource = local.scaling_alarms }],
    ) : merge({ Effect = "Allow" }, statement) if length(local.served) > 0
  ]

  scale = concat(local.end_scaling, [
    for statement in concat(
      [
        {
          Action    = ["application-autoscaling:RegisterScalableTarget", "application-autoscaling:PutScalingPolicy"]
          Resource  = [local.scaling_targets]
          Condition = local.of_sagemaker
        },
        {
          Action    = ["iam:CreateServiceLinkedRole"]
          Resource  = ["arn:aws:iam::${local.account}:role/aws-service-role/${local.scaling_service}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"]
          Condition = { StringEquals = { "iam:AWSServiceName" = local.scaling_service } }
        },
      ],
      [
        {
          Action = [
            "application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies",
          ]
          Resource = ["*"]
        },
        { Action = ["cloudwatch:PutMetricAlarm"], Resource = local.scaling_alarms },
      ],
    ) : merge({ Effect = "Allow" }, statement) if length(local.served) > 0
  ])
}
