output "address" {
  description = "Internal address of the mirror, for mirror_address of the module executors."
  value       = aws_network_interface.mirror.private_ip
}

output "instance_id" {
  description = "Id of the machine."
  value       = aws_instance.mirror.id
}
