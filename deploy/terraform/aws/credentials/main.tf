# What the machines may do, which is little: executors read the secrets by name. With log_shipping both kinds write logs, with
# session_manager both can be logged in to.

locals {
  secrets    = compact([var.token_secret, var.docker_auth_config_secret])
  kept       = [for arn in local.secrets : arn if split(":", arn)[2] == "secretsmanager"]
  parameters = [for arn in local.secrets : arn if split(":", arn)[2] == "ssm"]
  partition  = data.aws_partition.current.partition
  # docs/machine-images.md, and the mirror's.
  log_groups = { executor = "executors", mirror = "executors_docker_mirror" }
  # A role without a policy has no rights; a policy without a statement is none.
  has_policy = { executor = true, mirror = var.log_shipping || var.session_manager }
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "machine" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "role" {
  for_each = local.log_groups

  dynamic "statement" {
    for_each = each.key == "executor" && length(local.kept) > 0 ? [local.kept] : []
    content {
      sid       = "Secrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = each.key == "executor" && length(local.parameters) > 0 ? [local.parameters] : []
    content {
      sid       = "Parameters"
      actions   = ["ssm:GetParameter"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = each.key == "executor" && length(var.secret_kms_key_arns) > 0 ? [var.secret_kms_key_arns] : []
    content {
      sid       = "Keys"
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        values   = ["secretsmanager.*", "ssm.*"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.log_shipping ? [each.value] : []
    content {
      sid       = "Logs"
      actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      resources = ["arn:${local.partition}:logs:*:${data.aws_caller_identity.current.account_id}:log-group:${statement.value}:*"]
    }
  }

  # These have no resources. The managed policy AmazonSSMManagedInstanceCore would let machines read every parameter.
  dynamic "statement" {
    for_each = var.session_manager ? [true] : []
    content {
      sid = "SessionManager"
      actions = [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role" "machine" {
  for_each = local.log_groups

  name               = "${var.name_prefix}-${each.key}"
  description        = "Machines of the kind ${each.key}."
  assume_role_policy = data.aws_iam_policy_document.machine.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "machine" {
  for_each = { for kind, has in local.has_policy : kind => has if has }

  name   = "own"
  role   = aws_iam_role.machine[each.key].id
  policy = data.aws_iam_policy_document.role[each.key].json
}

resource "aws_iam_instance_profile" "machine" {
  for_each = local.log_groups

  name = "${var.name_prefix}-${each.key}"
  role = aws_iam_role.machine[each.key].name
  tags = var.tags
}

data "aws_iam_policy_document" "metric_writer" {
  statement {
    sid       = "QueueMetric"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = [var.metric_namespace]
    }
  }
}

resource "aws_iam_policy" "metric_writer" {
  name        = "${var.name_prefix}-metric-writer"
  description = "Sends the executors' queue metric, and does nothing else."
  policy      = data.aws_iam_policy_document.metric_writer.json
  tags        = var.tags
}
