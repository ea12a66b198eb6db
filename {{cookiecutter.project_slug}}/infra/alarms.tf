# The alarms of each endpoint: those that roll a deployment back, which src/mlops/settings/project.py names, and the one on drift.
locals {
  alarms = {
    errors = {
      metric    = "Invocation5XXErrors"
      namespace = "AWS/SageMaker"
      statistic = "Sum"
      threshold = 1
      missing   = "notBreaching"
      about     = "The model answers with an error"
    }
    latency = {
      metric    = "ModelLatency"
      namespace = "AWS/SageMaker"
      statistic = "Average"
      threshold = var.latency_limit_ms * 1000 # the metric is in microseconds
      missing   = "notBreaching"
      about     = "The model takes longer than ${var.latency_limit_ms} ms"
    }
    # No role may measure in that namespace: only SetAlarmState raises it, which is how a person stops a rollout.
    # With no data to judge by it stays as it was set; notBreaching would calm it after a period.
    manual = {
      metric    = "StoppedByHand"
      namespace = "mlops/by-hand"
      statistic = "Sum"
      threshold = 1
      missing   = "ignore"
      about     = "A person stops the rollout"
    }
    # Measured once a day, by `mlops monitor`: between two measurements it stays as the last one said.
    drift = {
      metric    = "Drift"
      namespace = "mlops"
      statistic = "Maximum"
      threshold = 1
      missing   = "ignore"
      period    = 3600
      about     = "The endpoint is asked something else than its model learned from"
    }
  }

  # The project's own, of each endpoint: those that the settings describe are made here, those that they only name
  # exist already.
  own_alarms = {
    for position, name in local.environment.endpoints : name => [
      try(local.given.endpoint.alarms, []), try(local.given.challenger.endpoint.alarms, []),
    ][position]
  }
  named_alarms = distinct(flatten([for each in local.own_alarms : [for alarm in each : alarm if !can(alarm.name)]]))

  endpoint_alarms = merge(
    {
      for pair in setproduct(local.environment.endpoints, keys(local.alarms)) : "${pair[0]}-${pair[1]}" => merge(
        local.alarms[pair[1]],
        {
          comparison = "GreaterThanOrEqualToThreshold"
          period     = try(local.alarms[pair[1]].period, 60)
          periods    = 1
          dimensions = { EndpointName = pair[0], VariantName = local.variant }
        },
      )
    },
    merge([
      for endpoint, alarms in local.own_alarms : {
        for alarm in alarms : "${endpoint}-${alarm.name}" => {
          metric     = alarm.metric
          namespace  = try(alarm.namespace, "AWS/SageMaker")
          statistic  = try(alarm.statistic, "Average")
          threshold  = coalesce(try(alarm.above, null), try(alarm.below, null))
          missing    = "notBreaching"
          about      = "An alarm of the project's own"
          comparison = try(alarm.above, null) != null ? "GreaterThanThreshold" : "LessThanThreshold"
          period     = try(alarm.seconds, 60)
          periods    = try(alarm.periods, 1)
          # AWS's metrics are those of the endpoint unless the settings say of what.
          dimensions = merge(
            try(alarm.dimensions, null) == null && can(regex("^/?aws/", lower(try(alarm.namespace, "AWS/SageMaker"))))
            ? { EndpointName = endpoint, VariantName = local.variant } : {},
            try(alarm.dimensions, null),
          )
        } if can(alarm.name)
      }
    ]...),
  )

  variant = "model" # the machinery serves every endpoint from one variant of this name
}

resource "aws_cloudwatch_metric_alarm" "endpoint" {
  for_each = local.endpoint_alarms

  alarm_name          = each.key
  alarm_description   = each.value.about
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  comparison_operator = each.value.comparison
  period              = each.value.period
  evaluation_periods  = each.value.periods
  dimensions          = each.value.dimensions
  alarm_actions       = [aws_sns_topic.alarms.arn]
}
