output "bucket" {
  description = "The bucket of the environment's data and models."
  value       = local.environment.bucket
}

output "key" {
  description = "The key that encrypts the bucket."
  value       = local.key
}

output "roles" {
  description = "Duty → the ARN of its role."
  value = merge(
    { for duty in concat(keys(local.gates), local.workflow_duties) : duty => local.environment.roles[duty] },
    { execution = local.environment.execution_role },
    { for person, role in aws_iam_role.person : person => role.arn },
  )
}

output "repository" {
  description = "Where images of one's own are pushed to; the first environment has it."
  value       = one(aws_ecr_repository.images[*].repository_url)
}

output "checks" {
  description = "The table of the checks' configurations, by endpoint."
  value       = one(aws_dynamodb_table.checks[*].name)
}

output "alarms" {
  description = "The alarms that roll a deployment back, and those on drift."
  value       = sort(keys(aws_cloudwatch_metric_alarm.endpoint))
}

output "topic" {
  description = "Where alarms are told."
  value       = aws_sns_topic.alarms.arn
}
