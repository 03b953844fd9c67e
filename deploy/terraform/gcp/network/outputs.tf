output "network" {
  description = "Id of the network."
  value       = google_compute_network.this.id
}

output "subnetwork" {
  description = "Id of the subnetwork, for the modules executors and mirror."
  value       = google_compute_subnetwork.this.id
}
