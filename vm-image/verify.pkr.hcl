# Boots the image that executor.pkr.hcl has made, on each cloud, runs verify.sh there, and keeps nothing. It is published only after that.
# The variables are that template's.

variable "name" {
  type        = string
  description = "Of the image: <image_family>-<build number>."

  validation {
    condition     = var.name != "" && regex_replace(var.name, "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", "") == ""
    error_message = "Variable name must be 1 to 63 lower-case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

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

variable "qemu_output" {
  type        = string
  default     = "output"
  description = "Directory for the image. It must not exist."
}

locals {
  gcp_machine_type  = var.gcp_machine_type != "" ? var.gcp_machine_type : var.arch == "amd64" ? "n2-standard-2" : "t2a-standard-2"
  aws_instance_type = var.aws_instance_type != "" ? var.aws_instance_type : var.arch == "amd64" ? "t3.medium" : "t4g.medium"
}

source "googlecompute" "image" {
  project_id        = var.gcp_project
  account_file      = var.gcp_account_file
  zone              = var.gcp_zone
  network           = var.gcp_network
  subnetwork        = var.gcp_subnetwork
  machine_type      = local.gcp_machine_type
  tags              = ["packer"]
  source_image      = var.name
  disk_type         = "pd-ssd"
  ssh_username      = "packer"
  skip_create_image = true
  # Of an image that isn't made.
  image_name = "${var.name}-verify"

  disable_default_service_account = true
  enable_secure_boot              = var.arch == "amd64"
  enable_vtpm                     = var.arch == "amd64"
  enable_integrity_monitoring     = var.arch == "amd64"
}

# This builder makes volumes only, and here not even these: the machine and its disk go, no AMI is made.
source "amazon-ebsvolume" "image" {
  access_key    = var.aws_access_key
  secret_key    = var.aws_secret_key
  region        = var.aws_region
  vpc_id        = var.aws_vpc_id
  subnet_id     = var.aws_subnet_id
  instance_type = local.aws_instance_type
  ssh_username  = var.base == "debian-12" ? "admin" : "ubuntu"
  ssh_interface = "public_ip"

  associate_public_ip_address = true
  shutdown_behavior           = "terminate"

  source_ami_filter {
    filters = {
      name = var.name
    }
    owners      = ["self"]
    most_recent = true
  }
}

source "qemu" "image" {
  disk_image           = true
  iso_url              = "${var.qemu_output}/${var.name}.qcow2"
  iso_checksum         = "none"
  use_backing_file     = true
  skip_resize_disk     = true
  format               = "qcow2"
  disk_interface       = "virtio"
  net_device           = "virtio-net"
  accelerator          = var.qemu_accelerator
  cpus                 = 2
  memory               = 4096
  headless             = true
  ssh_username         = var.qemu_ssh_username
  ssh_private_key_file = var.qemu_ssh_private_key_file
  ssh_timeout          = "20m"
  shutdown_command     = "sudo -n systemctl poweroff || systemctl poweroff"
  shutdown_timeout     = "10m"
  output_directory     = "${var.qemu_output}-verify"
  vm_name              = "verify.qcow2"
}

build {
  # So that -only finds both of Amazon's builders by the same name.
  name    = "amazon-ebs"
  sources = ["source.amazon-ebsvolume.image"]

  provisioner "file" {
    source      = "${path.root}/verify.sh"
    destination = "/tmp/verify.sh"
  }

  provisioner "shell" {
    inline = ["sudo -n bash /tmp/verify.sh"]
  }
}

build {
  sources = ["source.googlecompute.image"]

  provisioner "file" {
    source      = "${path.root}/verify.sh"
    destination = "/tmp/verify.sh"
  }

  provisioner "shell" {
    inline = ["sudo -n bash /tmp/verify.sh"]
  }
}

build {
  sources = ["source.qemu.image"]

  provisioner "file" {
    source      = "${path.root}/verify.sh"
    destination = "/tmp/verify.sh"
  }

  provisioner "shell" {
    inline = ["if [ $(id -u) = 0 ]; then bash /tmp/verify.sh; else sudo -n bash /tmp/verify.sh; fi"]
  }

  # What the machine has written.
  post-processor "shell-local" {
    inline = ["rm -r '${var.qemu_output}-verify'"]
  }
}
