output "executor_instance_profile_arn" {
  description = "Instance profile of executors."
  value       = aws_iam_instance_profile.machine["executor"].arn
}

output "mirror_instance_profile_name" {
  description = "Instance profile of the registry mirror."
  value       = aws_iam_instance_profile.machine["mirror"].name
}

output "metric_writer_policy_arn" {
  description = "Policy for whoever sends the queue metric: attach it to that role or user."
  value       = aws_iam_policy.metric_writer.arn
}
