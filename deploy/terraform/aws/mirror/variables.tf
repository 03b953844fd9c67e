variable "name_prefix" {
  type        = string
  default     = "executors"
  description = "Begins the names of all that is made, so that several sets can live in one account."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,22}[a-z0-9]$", var.name_prefix))
    error_message = "Variable name_prefix must be 2 to 24 small letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of all that is made, beside the name."

  validation {
    condition     = alltrue([for k, v in var.tags : can(regex("^[^:]{1,128}$", k)) && length(v) <= 256])
    error_message = "Variable tags must have keys of 1 to 128 characters without a colon, and values of at most 256."
  }
}

variable "ami_owner" {
  type        = string
  default     = "self"
  description = "Whose AMI it is: self, or the number of an account that you trust."

  validation {
    condition     = can(regex("^(self|[0-9]{12})$", var.ami_owner))
    error_message = "Variable ami_owner must be self, or an account's 12 digits."
  }
}

variable "ami_family" {
  type        = string
  description = "Family of the AMI. AMIs are called FAMILY-NUMBER, and the newest is taken."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.ami_family))
    error_message = "Variable ami_family must be 1 to 63 small letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "arch" {
  type        = string
  default     = "amd64"
  description = "Processor of the AMI: amd64 or arm64."

  validation {
    condition     = contains(["amd64", "arm64"], var.arch)
    error_message = "Variable arch must be amd64 or arm64."
  }
}

variable "kms_key_arn" {
  type        = string
  default     = ""
  description = "Key that disks are encrypted with. Empty: the account's own for EBS."

  validation {
    condition     = var.kms_key_arn == "" || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$", var.kms_key_arn))
    error_message = "Variable kms_key_arn must be the ARN of a key, or empty."
  }
}

variable "subnet_id" {
  type        = string
  description = "Private subnet that the mirror is in: the first of output subnet_ids of the module network."

  validation {
    condition     = can(regex("^subnet-[0-9a-f]+$", var.subnet_id))
    error_message = "Variable subnet_id must be the id of a subnet."
  }
}

variable "availability_zone" {
  type        = string
  description = "Zone of that subnet, where the data disk is made."

  validation {
    condition     = length(var.availability_zone) > 0
    error_message = "Variable availability_zone must not be empty."
  }
}

variable "security_group_id" {
  type        = string
  description = "Output mirror_security_group_id of the module network."

  validation {
    condition     = can(regex("^sg-[0-9a-f]+$", var.security_group_id))
    error_message = "Variable security_group_id must be the id of a security group."
  }
}

variable "instance_profile_name" {
  type        = string
  description = "Output mirror_instance_profile_name of the module credentials."

  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]+$", var.instance_profile_name))
    error_message = "Variable instance_profile_name must be the name of an instance profile."
  }
}

variable "instance_type" {
  type        = string
  default     = "m7i.large"
  description = "Type of the machine. Without a disk of its own: of two blank disks the mirror takes none."

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", var.instance_type))
    error_message = "Variable instance_type must be a type of machine such as m7i.large."
  }
}

variable "root_disk_gib" {
  type        = number
  default     = 10
  description = "Size of the root disk."

  validation {
    condition     = var.root_disk_gib >= 10 && floor(var.root_disk_gib) == var.root_disk_gib
    error_message = "Variable root_disk_gib must be a whole number, 10 or more."
  }
}

variable "data_disk_gib" {
  type        = number
  default     = 64
  description = "Size of the disk for what is cached. It can be made larger later, never smaller."

  validation {
    condition     = var.data_disk_gib >= 10 && floor(var.data_disk_gib) == var.data_disk_gib
    error_message = "Variable data_disk_gib must be a whole number, 10 or more."
  }
}

variable "disk_type" {
  type        = string
  default     = "gp3"
  description = "Type of both disks."

  validation {
    condition     = contains(["gp3", "gp2"], var.disk_type)
    error_message = "Variable disk_type must be gp3 or gp2."
  }
}

variable "address" {
  type        = string
  default     = ""
  description = "Internal address of the mirror. Empty: a free one of the subnet, which it then keeps."

  validation {
    condition     = var.address == "" || can(cidrnetmask("${var.address}/32"))
    error_message = "Variable address must be an address of IPv4, or empty."
  }
}

variable "upstreams" {
  type        = list(string)
  default     = []
  description = "Lines of the list of registries, see docs/registry-mirror.md; they name files of credentials, never credentials. Empty: the image's list, Docker Hub."

  validation {
    condition     = alltrue([for l in var.upstreams : can(regex("^[a-z0-9-]+( +[^ @]+)+$", l))])
    error_message = "Variable upstreams must be a list of lines such as \"ghcr https://ghcr.io\"."
  }
}
