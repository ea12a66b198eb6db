# The alarms that roll a deployment back, for each endpoint: src/mlops/settings.py names them.
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
    # No metric of that name is ever sent: only SetAlarmState raises it, which is how a person stops a rollout.
    # With no data to judge by it stays as it was set; notBreaching would calm it after a period.
    manual = {
      metric    = "StoppedByHand"
      namespace = "mlops"
      statistic = "Sum"
      threshold = 1
      missing   = "ignore"
      about     = "A person stops the rollout"
    }
  }

  endpoint_alarms = {
    for pair in setproduct(local.environment.endpoints, keys(local.alarms)) :
    "${pair[0]}-${pair[1]}" => merge(local.alarms[pair[1]], { endpoint = pair[0] })
  }
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
  comparison_operator = "GreaterThanOrEqualToThreshold"
  period              = 60
  evaluation_periods  = 1
  alarm_actions       = [aws_sns_topic.alarms.arn]

  dimensions = {
    EndpointName = each.value.endpoint
    VariantName  = "model" # the machinery serves every endpoint from one variant of this name
  }
}
