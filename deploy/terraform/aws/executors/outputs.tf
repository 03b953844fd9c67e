output "autoscaling_group_name" {
  description = "Name of the group of machines."
  value       = aws_autoscaling_group.executor.name
}

output "ami_id" {
  description = "AMI that new machines are made of."
  value       = data.aws_ami.executor.id
}

output "metric" {
  description = "The metric that the group scales by."
  value = {
    namespace   = var.metric_namespace
    name        = var.metric_name
    queueName   = local.metric_queue
    environment = var.metric_environment
  }
}
