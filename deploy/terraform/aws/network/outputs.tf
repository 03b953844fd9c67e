output "vpc_id" {
  description = "Id of the network."
  value       = aws_vpc.this.id
}

output "subnet_ids" {
  description = "Ids of the private subnets, in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "executors_security_group_id" {
  description = "Security group of executors."
  value       = aws_security_group.executors.id
}

output "mirror_security_group_id" {
  description = "Security group of the registry mirror."
  value       = aws_security_group.mirror.id
}
