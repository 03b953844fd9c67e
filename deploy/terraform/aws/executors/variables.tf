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

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets that the machines are in: output subnet_ids of the module network."

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for s in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", s))])
    error_message = "Variable subnet_ids must be ids of subnets, at least one."
  }
}

variable "security_group_id" {
  type        = string
  description = "Output executors_security_group_id of the module network."

  validation {
    condition     = can(regex("^sg-[0-9a-f]+$", var.security_group_id))
    error_message = "Variable security_group_id must be the id of a security group."
  }
}

variable "instance_profile_arn" {
  type        = string
  description = "Output executor_instance_profile_arn of the module credentials."

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:instance-profile/.+$", var.instance_profile_arn))
    error_message = "Variable instance_profile_arn must be the ARN of an instance profile."
  }
}

variable "instance_type" {
  type        = string
  default     = "m8i.2xlarge"
  description = "Type of the machines. For microVMs one of C8i, M8i, R8i, or a metal one."

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", var.instance_type))
    error_message = "Variable instance_type must be a type of machine such as m8i.2xlarge."
  }
}

variable "nested_virtualization" {
  type        = bool
  default     = true
  description = "Lets machines run microVMs by KVM. False for types other than C8i, M8i and R8i: metal ones have KVM anyway."
}

variable "disk_gib" {
  type        = number
  default     = 100
  description = "Size of a machine's disk: 20 GiB for each job, images, and the system."

  validation {
    condition     = var.disk_gib >= 20 && floor(var.disk_gib) == var.disk_gib
    error_message = "Variable disk_gib must be a whole number, 20 or more."
  }
}

variable "disk_type" {
  type        = string
  default     = "gp3"
  description = "Type of that disk."

  validation {
    condition     = contains(["gp3", "gp2"], var.disk_type)
    error_message = "Variable disk_type must be gp3 or gp2."
  }
}
