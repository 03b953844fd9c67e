# The machine image that runs executors: on Google Compute Engine, on Amazon EC2, and for QEMU on any machine. docs/machine-images.md tells
# how to build it. Variables come from the environment, PKR_VAR_<name>, so that no secret is on a command line.
#
# It is written for Packer 1.6.6, which Debian has and the checks use, as well as for newer ones. The former has no function "regex": what
# is wholly replaced by nothing has matched.

# Required.

variable "name" {
  type        = string
  description = "Of the image: <image_family>-<build number>."

  validation {
    condition     = var.name != "" && regex_replace(var.name, "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", "") == ""
    error_message = "Variable name must be 1 to 63 lower-case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "image_family" {
  type        = string
  description = "What images that replace each other have in common. Publishing sets it; here it is a label."

  validation {
    condition     = var.image_family != "" && regex_replace(var.image_family, "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", "") == ""
    error_message = "Variable image_family must be 1 to 63 lower-case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "version" {
  type        = string
  description = "Of the executor in files/executor.deb."

  validation {
    condition     = length(var.version) > 0
    error_message = "Variable version must not be empty."
  }
}

variable "src_cli_version" {
  type        = string
  description = "Of src in files/src."

  validation {
    condition     = length(var.src_cli_version) > 0
    error_message = "Variable src_cli_version must not be empty."
  }
}

variable "tagged_release" {
  type        = bool
  description = "Images of releases are kept; others are marked for removal after a time."
}

variable "aws_regions" {
  type        = list(string)
  description = "Where the AMI is copied to; aws_regions.json has those of a release."

  validation {
    condition     = length(var.aws_regions) > 0
    error_message = "Variable aws_regions must name at least one region."
  }

  validation {
    condition     = length([for r in var.aws_regions : r if r != "" && regex_replace(r, "^[a-z]{2}(-[a-z]+)+-[0-9]$", "") == ""]) == length(var.aws_regions)
    error_message = "Variable aws_regions must be a list of regions such as us-west-2."
  }
}

# What the image is made of and has.

variable "arch" {
  type        = string
  default     = "amd64"
  description = "Processor: amd64, or arm64, where jobs run in Docker only."

  validation {
    condition     = contains(["amd64", "arm64"], var.arch)
    error_message = "Variable arch must be amd64 or arm64."
  }
}

variable "base" {
  type        = string
  default     = "ubuntu-24.04"
  description = "The distribution."

  validation {
    condition     = contains(["ubuntu-24.04", "ubuntu-22.04", "debian-12"], var.base)
    error_message = "Variable base must be ubuntu-24.04, ubuntu-22.04 or debian-12."
  }
}

variable "disk_gib" {
  type        = number
  default     = 20
  description = "Size of the root disk while the image is made; a machine's may be larger."

  validation {
    condition     = var.disk_gib >= 10
    error_message = "Variable disk_gib must be 10 or more."
  }
}

variable "leave_out" {
  type        = list(string)
  default     = []
  description = "Parts that are not installed: microvms, firecracker, src-cli."

  validation {
    condition     = length([for p in var.leave_out : p if contains(["microvms", "firecracker", "src-cli"], p)]) == length(var.leave_out)
    error_message = "Variable leave_out must be a list of microvms, firecracker and src-cli."
  }
}

variable "metrics_cidr" {
  type        = string
  default     = ""
  description = "The network that may read the executor's metrics; none by default."

  validation {
    condition     = var.metrics_cidr == "" || can(cidrhost(var.metrics_cidr, 0))
    error_message = "Variable metrics_cidr must be a network such as 10.0.0.0/16, or empty."
  }
}

variable "log_shipping" {
  type        = bool
  default     = false
  description = "Installs the cloud's agent, which sends the journal to the cloud."
}

variable "power_off_at_end" {
  type        = bool
  default     = false
  description = "The machine powers off when its executor has ended by itself and well."
}

# Google Cloud.

variable "gcp_project" {
  type        = string
  default     = "sourcegraph-ci"
  description = "Where the image is made and kept."

  validation {
    condition     = length(var.gcp_project) > 0
    error_message = "Variable gcp_project must not be empty."
  }
}

variable "gcp_zone" {
  type        = string
  default     = "us-central1-c"
  description = "Where the machine runs that the image is made on."

  validation {
    condition     = var.gcp_zone != "" && regex_replace(var.gcp_zone, "^[a-z]+-[a-z]+[0-9]+-[a-z]$", "") == ""
    error_message = "Variable gcp_zone must be a zone such as us-central1-c."
  }
}

variable "gcp_network" {
  type        = string
  default     = "default"
  description = "Of that machine. Ignored where gcp_subnetwork is set."
}

variable "gcp_subnetwork" {
  type        = string
  default     = ""
  description = "Of that machine; by default the network's own."
}

variable "gcp_machine_type" {
  type        = string
  default     = ""
  description = "By default n2-standard-2, for arm64 t2a-standard-2."
}

variable "gcp_account_file" {
  type        = string
  default     = ""
  description = "File with a service account's key; by default the ambient credentials."
}

variable "gcp_image_storage_locations" {
  type        = list(string)
  default     = ["us"]
  description = "Where Google keeps the image."
}

variable "gcp_kms_key" {
  type        = string
  default     = ""
  description = "Name of a key of Cloud KMS that encrypts the image; by default Google's."
}

# Amazon.

variable "aws_region" {
  type        = string
  default     = "us-west-2"
  description = "Where the AMI is made. Packer alone wouldn't notice that it is missing."

  validation {
    condition     = var.aws_region != "" && regex_replace(var.aws_region, "^[a-z]{2}(-[a-z]+)+-[0-9]$", "") == ""
    error_message = "Variable aws_region must be a region such as us-west-2."
  }
}

variable "aws_vpc_id" {
  type        = string
  default     = ""
  description = "Of the machine that the AMI is made on; by default the account's default VPC."
}

variable "aws_subnet_id" {
  type        = string
  default     = ""
  description = "The same for its subnet. Needed with aws_vpc_id."
}

variable "aws_instance_type" {
  type        = string
  default     = ""
  description = "By default t3.medium, for arm64 t4g.medium."
}

variable "aws_access_key" {
  type        = string
  default     = ""
  description = "By default the ambient credentials (environment, profile, role)."
  sensitive   = true
}

variable "aws_secret_key" {
  type        = string
  default     = ""
  description = "Goes with aws_access_key."
  sensitive   = true
}

variable "aws_max_attempts" {
  type        = number
  default     = 480
  description = "How often AWS is asked whether a copy is done."

  validation {
    condition     = var.aws_max_attempts > 0
    error_message = "Variable aws_max_attempts must be 1 or more."
  }
}

variable "aws_poll_delay_seconds" {
  type        = number
  default     = 5
  description = "Between these."

  validation {
    condition     = var.aws_poll_delay_seconds > 0
    error_message = "Variable aws_poll_delay_seconds must be 1 or more."
  }
}

variable "aws_encrypt" {
  type        = bool
  default     = false
  description = "Encrypts the AMI's root disk. Such an AMI can't be public."
}

variable "aws_kms_key_id" {
  type        = string
  default     = ""
  description = "With aws_encrypt: the key in aws_region; by default the account's own."
}

# QEMU.

variable "qemu_disk" {
  type        = string
  default     = "disk.qcow2"
  description = "File or URL of a bootable disk of one of the bases, a cloud image for example, that lets qemu_ssh_username in."
}

variable "qemu_disk_checksum" {
  type        = string
  default     = "none"
  description = "Of that disk, as sha256:<hex>. Give it for anything that was downloaded."
}

variable "qemu_ssh_username" {
  type        = string
  default     = "root"
  description = "Root, or a user whose sudo asks for no password."
}

variable "qemu_ssh_private_key_file" {
  type        = string
  default     = ""
  description = "The key of that user."
}

variable "qemu_accelerator" {
  type        = string
  default     = "kvm"
  description = "Use kvm, or tcg, which is slow, where there is no KVM."

  validation {
    condition     = contains(["kvm", "tcg", "hvf", "none"], var.qemu_accelerator)
    error_message = "Variable qemu_accelerator must be kvm, tcg, hvf or none."
  }
}

variable "qemu_args" {
  type        = list(list(string))
  default     = []
  description = "Further arguments of QEMU's: a kernel for a disk without a boot loader, for example."
}

variable "qemu_output" {
  type        = string
  default     = "output"
  description = "Directory for the image. It must not exist."
}

locals {
  bases = {
    "ubuntu-24.04" = {
      gcp_project = "ubuntu-os-cloud"
      gcp_family  = { amd64 = "ubuntu-2404-lts-amd64", arm64 = "ubuntu-2404-lts-arm64" }
      aws_owner   = "099720109477"
      aws_name    = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-${var.arch}-server-*"
      aws_user    = "ubuntu"
    }
    "ubuntu-22.04" = {
      gcp_project = "ubuntu-os-cloud"
      gcp_family  = { amd64 = "ubuntu-2204-lts", arm64 = "ubuntu-2204-lts-arm64" }
      aws_owner   = "099720109477"
      aws_name    = "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-${var.arch}-server-*"
      aws_user    = "ubuntu"
    }
    "debian-12" = {
      gcp_project = "debian-cloud"
      gcp_family  = { amd64 = "debian-12", arm64 = "debian-12-arm64" }
      aws_owner   = "136693071363"
      aws_name    = "debian-12-${var.arch}-*"
      aws_user    = "admin"
    }
  }
  base = local.bases[var.base]

  gcp_machine_type  = var.gcp_machine_type != "" ? var.gcp_machine_type : var.arch == "amd64" ? "n2-standard-2" : "t2a-standard-2"
  aws_instance_type = var.aws_instance_type != "" ? var.aws_instance_type : var.arch == "amd64" ? "t3.medium" : "t4g.medium"

  # Labels of Google's allow no more.
  gcp_labels = {
    family  = var.image_family
    version = regex_replace(lower(var.version), "[^a-z0-9_-]", "-")
    base    = regex_replace(var.base, "[^a-z0-9_-]", "-")
    arch    = var.arch
    release = var.tagged_release ? "true" : "false"
  }
  aws_tags = {
    Name       = var.name
    Family     = var.image_family
    Version    = var.version
    OS_Version = var.base
    Arch       = var.arch
    Release    = var.tagged_release ? "true" : "false"
  }
  # By this tag old images of a family are found and removed: never one of a release.
  aws_ami_tags = var.tagged_release ? local.aws_tags : merge(local.aws_tags, { Amazon_AMI_Management_Identifier = var.image_family })
}

source "googlecompute" "image" {
  project_id   = var.gcp_project
  account_file = var.gcp_account_file
  zone         = var.gcp_zone
  network      = var.gcp_network
  subnetwork   = var.gcp_subnetwork
  machine_type = local.gcp_machine_type
  tags         = ["packer"]
  labels       = local.gcp_labels

  source_image_project_id = [local.base.gcp_project]
  source_image_family     = local.base.gcp_family[var.arch]
  disk_size               = var.disk_gib
  disk_type               = "pd-ssd"
  ssh_username            = "packer"
  # What is logged in with while the image is made has no rights of its own.
  disable_default_service_account = true

  enable_secure_boot          = var.arch == "amd64"
  enable_vtpm                 = var.arch == "amd64"
  enable_integrity_monitoring = var.arch == "amd64"

  image_name              = var.name
  image_description       = "Runs executors ${var.version}, on ${var.base} for ${var.arch}."
  image_labels            = local.gcp_labels
  image_storage_locations = var.gcp_image_storage_locations
  # With this licence machines made of the image have nested virtualisation, where their type can: Firecracker then has KVM.
  image_licenses = var.arch == "amd64" ? ["projects/vm-options/global/licenses/enable-vmx"] : []
  # Google takes no empty key.
  dynamic "image_encryption_key" {
    for_each = var.gcp_kms_key != "" ? [var.gcp_kms_key] : []
    content {
      kmsKeyName = image_encryption_key.value
    }
  }
}

source "amazon-ebs" "image" {
  access_key    = var.aws_access_key
  secret_key    = var.aws_secret_key
  region        = var.aws_region
  vpc_id        = var.aws_vpc_id
  subnet_id     = var.aws_subnet_id
  instance_type = local.aws_instance_type
  ssh_username  = local.base.aws_user
  ssh_interface = "public_ip"

  associate_public_ip_address = true
  shutdown_behavior           = "terminate"
  # The key that was let in while the image was made.
  ssh_clear_authorized_keys = true

  source_ami_filter {
    filters = {
      name                = local.base.aws_name
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = [local.base.aws_owner]
    most_recent = true
  }
  launch_block_device_mappings {
    device_name           = var.base == "debian-12" ? "/dev/xvda" : "/dev/sda1"
    volume_size           = var.disk_gib
    volume_type           = "gp3"
    iops                  = 3000
    throughput            = 125
    delete_on_termination = true
  }

  ami_name        = var.name
  ami_description = "Runs executors ${var.version}, on ${var.base} for ${var.arch}."
  ami_regions     = var.aws_regions
  ena_support     = true
  encrypt_boot    = var.aws_encrypt
  kms_key_id      = var.aws_kms_key_id
  tags            = local.aws_ami_tags
  snapshot_tags   = local.aws_ami_tags
  run_tags        = local.aws_tags
  run_volume_tags = local.aws_tags

  aws_polling {
    delay_seconds = var.aws_poll_delay_seconds
    max_attempts  = var.aws_max_attempts
  }
}

source "qemu" "image" {
  disk_image           = true
  iso_url              = var.qemu_disk
  iso_checksum         = var.qemu_disk_checksum
  disk_size            = "${var.disk_gib}G"
  format               = "qcow2"
  disk_interface       = "virtio"
  net_device           = "virtio-net"
  accelerator          = var.qemu_accelerator
  cpus                 = 2
  memory               = 2048
  qemuargs             = var.qemu_args
  headless             = true
  ssh_username         = var.qemu_ssh_username
  ssh_private_key_file = var.qemu_ssh_private_key_file
  # Without KVM a boot takes its time.
  ssh_timeout      = "20m"
  shutdown_command = "sudo -n systemctl poweroff || systemctl poweroff"
  shutdown_timeout = "10m"
  output_directory = var.qemu_output
  vm_name          = "${var.name}.qcow2"
}

build {
  sources = ["source.googlecompute.image", "source.amazon-ebs.image", "source.qemu.image"]

  provisioner "shell" {
    inline = ["mkdir -p -m 700 /tmp/machine-image"]
  }

  provisioner "file" {
    sources = [
      "${path.root}/install.sh",
      "${path.root}/steps",
      "${path.root}/first-boot",
      "${path.root}/files",
    ]
    destination = "/tmp/machine-image/"
  }

  provisioner "shell" {
    environment_vars = [
      "VERSION=${var.version}",
      "SRC_CLI_VERSION=${var.src_cli_version}",
      "LEAVE_OUT=${join(" ", var.leave_out)}",
      "METRICS_CIDR=${var.metrics_cidr}",
      "LOG_SHIPPING=${var.log_shipping}",
      "LOG_GROUP=executors",
      "POWER_OFF_AT_END=${var.power_off_at_end}",
    ]
    # Root may be the one who has logged in.
    execute_command = "chmod +x {{ .Path }}; if [ $(id -u) = 0 ]; then {{ .Vars }} {{ .Path }}; else {{ .Vars }} sudo -n -E {{ .Path }}; fi"
    inline = [
      "case $PACKER_BUILDER_TYPE in googlecompute) PLATFORM_TYPE=gcp ;; amazon-ebs) PLATFORM_TYPE=aws ;; *) PLATFORM_TYPE=qemu ;; esac",
      "export PLATFORM_TYPE",
      "if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null || true; fi",
      "bash /tmp/machine-image/install.sh",
      "rm -r /tmp/machine-image",
    ]
  }
}
