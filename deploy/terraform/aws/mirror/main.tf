# The registry mirror: one machine with an address and a disk that outlive it.

data "aws_ami" "mirror" {
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

# Its address stays when the machine is replaced.
resource "aws_network_interface" "mirror" {
  subnet_id       = var.subnet_id
  description     = "Of the registry mirror, in the executors' settings."
  private_ips     = var.address == "" ? null : [var.address]
  security_groups = [var.security_group_id]
  tags            = local.tags
}

resource "aws_ebs_volume" "data" {
  availability_zone = var.availability_zone
  size              = var.data_disk_gib
  type              = var.disk_type
  encrypted         = true
  kms_key_id        = var.kms_key_arn == "" ? null : var.kms_key_arn
  tags              = merge(local.tags, { Name = "${var.name_prefix}-mirror-data" })
}

resource "aws_instance" "mirror" {
  ami                         = data.aws_ami.mirror.id
  instance_type               = var.instance_type
  iam_instance_profile        = var.instance_profile_name
  user_data                   = length(var.upstreams) == 0 ? null : local.cloud_config
  user_data_replace_on_change = true
  tags                        = local.tags

  primary_network_interface {
    network_interface_id = aws_network_interface.mirror.id
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_size           = var.root_disk_gib
    volume_type           = var.disk_type
    encrypted             = true
    kms_key_id            = var.kms_key_arn == "" ? null : var.kms_key_arn
    delete_on_termination = true
  }
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdh"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.mirror.id
  # A machine that is replaced lets go of the disk in good order.
  stop_instance_before_detaching = true
}
