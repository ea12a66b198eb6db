# What an earlier version of this folder had under another address, so that an update keeps it: without this Terraform
# would destroy the functions, and make them again under the same names.

moved {
  from = aws_lambda_function.dispatch["dispatch"]
  to   = aws_lambda_function.function["dispatch"]
}

moved {
  from = aws_iam_role.dispatch["dispatch"]
  to   = aws_iam_role.function["dispatch"]
}

moved {
  from = aws_iam_role_policy.dispatch["dispatch"]
  to   = aws_iam_role_policy.function["dispatch"]
}

moved {
  from = aws_cloudwatch_log_group.dispatch["dispatch"]
  to   = aws_cloudwatch_log_group.function["dispatch"]
}

moved {
  from = aws_lambda_function_event_invoke_config.dispatch["dispatch"]
  to   = aws_lambda_function_event_invoke_config.function["dispatch"]
}

moved {
  from = aws_lambda_function.hours["hours"]
  to   = aws_lambda_function.function["hours"]
}

moved {
  from = aws_iam_role.hours["hours"]
  to   = aws_iam_role.function["hours"]
}

moved {
  from = aws_iam_role_policy.hours["hours"]
  to   = aws_iam_role_policy.function["hours"]
}

moved {
  from = aws_cloudwatch_log_group.hours["hours"]
  to   = aws_cloudwatch_log_group.function["hours"]
}

moved {
  from = aws_lambda_function_event_invoke_config.hours["hours"]
  to   = aws_lambda_function_event_invoke_config.function["hours"]
}

moved {
  from = aws_sqs_queue.hours["hours"]
  to   = aws_sqs_queue.failed["hours"]
}

moved {
  from = aws_dynamodb_table.events["dispatch"]
  to   = aws_dynamodb_table.events[0]
}

moved {
  from = aws_cloudwatch_event_rule.dispatch["approved"]
  to   = aws_cloudwatch_event_rule.function["approved"]
}

moved {
  from = aws_cloudwatch_event_rule.dispatch["trained"]
  to   = aws_cloudwatch_event_rule.function["trained"]
}

moved {
  from = aws_cloudwatch_event_rule.dispatch["processed"]
  to   = aws_cloudwatch_event_rule.function["processed"]
}

moved {
  from = aws_cloudwatch_event_rule.dispatch["drifted"]
  to   = aws_cloudwatch_event_rule.function["drifted"]
}

moved {
  from = aws_cloudwatch_event_rule.hours["hours"]
  to   = aws_cloudwatch_event_rule.function["hours"]
}

moved {
  from = aws_cloudwatch_event_target.dispatch["approved"]
  to   = aws_cloudwatch_event_target.function["approved"]
}

moved {
  from = aws_cloudwatch_event_target.dispatch["trained"]
  to   = aws_cloudwatch_event_target.function["trained"]
}

moved {
  from = aws_cloudwatch_event_target.dispatch["processed"]
  to   = aws_cloudwatch_event_target.function["processed"]
}

moved {
  from = aws_cloudwatch_event_target.dispatch["drifted"]
  to   = aws_cloudwatch_event_target.function["drifted"]
}

moved {
  from = aws_cloudwatch_event_target.hours["hours"]
  to   = aws_cloudwatch_event_target.function["hours"]
}

moved {
  from = aws_lambda_permission.dispatch["approved"]
  to   = aws_lambda_permission.function["approved"]
}

moved {
  from = aws_lambda_permission.dispatch["trained"]
  to   = aws_lambda_permission.function["trained"]
}

moved {
  from = aws_lambda_permission.dispatch["processed"]
  to   = aws_lambda_permission.function["processed"]
}

moved {
  from = aws_lambda_permission.dispatch["drifted"]
  to   = aws_lambda_permission.function["drifted"]
}

moved {
  from = aws_lambda_permission.hours["hours"]
  to   = aws_lambda_permission.function["hours"]
}
