output "executor_service_account_email" {
  description = "Service account of executors."
  value       = google_service_account.executor.email
}

output "mirror_service_account_email" {
  description = "Service account of the registry mirror."
  value       = google_service_account.mirror.email
}

output "metric_writer_service_account_email" {
  description = "Service account that may write the queue metric; null without metric_writer."
  value       = one(google_service_account.metric_writer[*].email)
}
