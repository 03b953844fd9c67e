output "mirror_address" {
  description = "Internal address of the registry mirror."
  value       = module.mirror.address
}

output "instance_group" {
  description = "URL of the group of executors' machines."
  value       = module.executors.instance_group
}

output "metric_writer_service_account_email" {
  description = "Service account for the machine that sends the queue metric."
  value       = module.credentials.metric_writer_service_account_email
}
