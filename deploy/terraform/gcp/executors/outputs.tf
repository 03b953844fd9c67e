output "instance_group" {
  description = "URL of the group of machines."
  value       = google_compute_region_instance_group_manager.executor.instance_group
}

output "image" {
  description = "Name of the image that new machines are made of."
  value       = data.google_compute_image.executor.name
}

output "metric_filter" {
  description = "The time series that the group scales by."
  value       = "metric.type = \"${var.metric_type}\" AND ${local.metric_filter}"
}
