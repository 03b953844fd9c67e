output "mirror_address" {
  description = "Internal address of the registry mirror."
  value       = module.mirror.address
}

output "autoscaling_group_name" {
  description = "Name of the group of executors' machines."
  value       = module.executors.autoscaling_group_name
}

output "metric_writer_policy_arn" {
  description = "Policy for whoever sends the queue metric."
  value       = module.credentials.metric_writer_policy_arn
}
