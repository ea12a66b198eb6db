# One page for each environment that serves: what its endpoints answer, how fast, and what that costs their instances.
locals {
  # SageMaker measures requests by endpoint and variant, in one namespace, and instances in another.
  requests  = "AWS/SageMaker"
  instances = "/aws/sagemaker/Endpoints"

  widgets = [
    { title = "Requests", namespace = local.requests, metrics = ["Invocations"], stat = "Sum" },
    { title = "Errors", namespace = local.requests, metrics = ["Invocation5XXErrors", "Invocation4XXErrors"], stat = "Sum" },
    { title = "Latency (µs, 95 of 100)", namespace = local.requests, metrics = ["ModelLatency", "OverheadLatency"], stat = "p95" },
    { title = "CPU (%)", namespace = local.instances, metrics = ["CPUUtilization"], stat = "Average" },
    { title = "Memory (%)", namespace = local.instances, metrics = ["MemoryUtilization"], stat = "Average" },
    { title = "GPU (%)", namespace = local.instances, metrics = ["GPUUtilization", "GPUMemoryUtilization"], stat = "Average" },
    { title = "Disk (%)", namespace = local.instances, metrics = ["DiskUtilization"], stat = "Average" },
  ]
}

resource "aws_cloudwatch_dashboard" "environment" {
  count = length(local.environment.endpoints) > 0 ? 1 : 0

  dashboard_name = local.prefix
  dashboard_body = jsonencode({
    widgets = concat(
      [
        {
          type       = "alarm"
          x          = 0
          y          = 0
          width      = 24
          height     = 3
          properties = { title = "Alarms", alarms = sort(values(aws_cloudwatch_metric_alarm.endpoint)[*].arn) }
        },
      ],
      [
        for position, each in local.widgets : {
          type   = "metric"
          x      = position % 2 * 12
          y      = 3 + floor(position / 2) * 6
          width  = 12
          height = 6
          properties = {
            title  = each.title
            region = local.region
            stat   = each.stat
            period = 60
            metrics = [
              for pair in setproduct(local.environment.endpoints, each.metrics) :
              [each.namespace, pair[1], "EndpointName", pair[0], "VariantName", local.variant]
            ]
          }
        }
      ],
    )
  })
}
