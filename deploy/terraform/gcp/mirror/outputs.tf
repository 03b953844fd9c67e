output "address" {
  description = "Internal address of the mirror, for mirror_address of the module executors."
  value       = google_compute_address.mirror.address
}

output "name" {
  description = "Name of the machine."
  value       = google_compute_instance.mirror.name
}
