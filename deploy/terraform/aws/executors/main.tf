# A group of machines that run executors, as many as the queue needs.

data "aws_ami" "executor" {
  most_recent = true
  owners      = [var.ami_owner]
  # The filter can't tell a number: that of another family may begin alike.
  name_regex = "^${var.ami_family}-[0-9]+$"

  filter {
    name   = "name"
    values = ["${var.ami_family}-*"]
  }

  filter {
    name   = "architecture"
    values = [var.arch == "amd64" ? "x86_64" : "arm64"]
  }

  filter {
    name   = "state"
    values = ["available"]
  }
}

resource "aws_launch_template" "executor" {
  name_prefix            = "${var.name_prefix}-"
  description            = "A machine that runs executors."
  image_id               = data.aws_ami.executor.id
  instance_type          = var.instance_type
  user_data              = base64encode(local.user_data)
  vpc_security_group_ids = [var.security_group_id]
  tags                   = local.tags
  # A machine whose executor has done its work powers off, with images that were built with power_off_at_end, and is gone.
  instance_initiated_shutdown_behavior = "terminate"

  iam_instance_profile {
    arn = var.instance_profile_arn
  }

  # Jobs in containers are one hop further away: they don't reach the machine's rights.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = data.aws_ami.executor.root_device_name

    ebs {
      volume_size           = var.disk_gib
      volume_type           = var.disk_type
      encrypted             = true
      kms_key_id            = var.kms_key_arn == "" ? null : var.kms_key_arn
      delete_on_termination = true
    }
  }

  dynamic "cpu_options" {
    for_each = var.nested_virtualization ? ["enabled"] : []
    content {
      nested_virtualization = cpu_options.value
    }
  }

  dynamic "instance_market_options" {
    for_each = var.spot ? ["spot"] : []
    content {
      market_type = instance_market_options.value
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume"])
    content {
      resource_type = tag_specifications.value
      tags          = local.tags
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_autoscaling_group" "executor" {
  name                      = "${var.name_prefix}-executors"
  min_size                  = var.min_machines
  max_size                  = var.max_machines
  vpc_zone_identifier       = var.subnet_ids
  health_check_type         = "EC2"
  health_check_grace_period = var.warmup_seconds
  default_instance_warmup   = var.warmup_seconds

  # No machine is taken from its jobs: it goes when its executor has ended, and isn't replaced when there is less to do. A new template
  # is for new machines.
  protect_from_scale_in = true
  suspended_processes   = ["AZRebalance"]

  launch_template {
    id      = aws_launch_template.executor.id
    version = aws_launch_template.executor.latest_version
  }

  dynamic "tag" {
    for_each = local.tags
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  lifecycle {
    # The policy's.
    ignore_changes = [desired_capacity]
  }
}

resource "aws_autoscaling_policy" "executor" {
  name                    = "${var.name_prefix}-queue"
  autoscaling_group_name  = aws_autoscaling_group.executor.name
  policy_type             = "StepScaling"
  adjustment_type         = "ExactCapacity"
  metric_aggregation_type = "Maximum"

  dynamic "step_adjustment" {
    for_each = local.steps
    content {
      scaling_adjustment          = step_adjustment.value.machines
      metric_interval_lower_bound = step_adjustment.value.above
      metric_interval_upper_bound = step_adjustment.value.below
    }
  }
}

# Always in alarm while the metric comes: CloudWatch then applies the policy each minute. Without the metric all stays as it is.
resource "aws_cloudwatch_metric_alarm" "queue" {
  alarm_name          = "${var.name_prefix}-queue"
  alarm_description   = "Not an alarm: tells the group of executors how many jobs there are."
  namespace           = var.metric_namespace
  metric_name         = var.metric_name
  dimensions          = { queueName = local.metric_queue, environment = var.metric_environment }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 1
  treat_missing_data  = "missing"
  alarm_actions       = [aws_autoscaling_policy.executor.arn]
  tags                = var.tags
}
