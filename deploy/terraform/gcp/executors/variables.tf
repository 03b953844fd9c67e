variable "project" {
  type        = string
  description = "Id of the project that everything is made in."

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "Variable project must be the id of a project: 6 to 30 small letters, digits and hyphens."
  }
}

variable "name_prefix" {
  type        = string
  default     = "executors"
  description = "Begins the names of all that is made, so that several sets can live in one project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,13}[a-z0-9]$", var.name_prefix))
    error_message = "Variable name_prefix must be 2 to 15 small letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "region" {
  type        = string
  description = "Where it is made, such as europe-west1."

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "Variable region must be a region of Google Cloud."
  }
}

variable "labels" {
  type        = map(string)
  default     = {}
  description = "Labels of machines and disks, beside the one with the prefix."

  validation {
    condition     = alltrue([for k, v in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v))])
    error_message = "Variable labels must have small letters, digits, underscores and hyphens only, keys begin with a letter, and none is longer than 63."
  }
}

variable "image_project" {
  type        = string
  description = "Id of the project that the machine image is in."

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.image_project))
    error_message = "Variable image_project must be the id of a project."
  }
}

variable "image_family" {
  type        = string
  description = "Family of the machine image; the newest of it that isn't deprecated is taken."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.image_family))
    error_message = "Variable image_family must be 1 to 63 small letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "subnetwork" {
  type        = string
  description = "Id of the subnetwork that the machines are in: output subnetwork of the module network."

  validation {
    condition     = can(regex("projects/[^/]+/regions/[^/]+/subnetworks/[^/]+$", var.subnetwork))
    error_message = "Variable subnetwork must be of the form projects/PROJECT/regions/REGION/subnetworks/NAME."
  }
}

variable "service_account_email" {
  type        = string
  description = "The machines' service account: an output of the module credentials."

  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+$", var.service_account_email))
    error_message = "Variable service_account_email must be the address of a service account."
  }
}

variable "kms_key" {
  type        = string
  default     = ""
  description = "Key of Cloud KMS that the disks are encrypted with. Without one they are encrypted with Google's."

  validation {
    condition     = var.kms_key == "" || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "Variable kms_key must be of the form projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY, or empty."
  }
}

variable "zones" {
  type        = list(string)
  default     = []
  description = "Zones of the region that have the type of machine. Empty: Google chooses."

  validation {
    condition     = alltrue([for z in var.zones : startswith(z, "${var.region}-")])
    error_message = "Variable zones must be a list of zones of the region."
  }
}

variable "machine_type" {
  type        = string
  default     = "n2-standard-8"
  description = "Type of the machines. For microVMs an Intel one with nested virtualisation: N2, C2 and others."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]+$", var.machine_type))
    error_message = "Variable machine_type must be a type of machine such as n2-standard-8."
  }
}

variable "nested_virtualization" {
  type        = bool
  default     = true
  description = "Lets machines run microVMs by KVM. False for types that can't, such as E2 and arm64."
}

variable "secure_boot" {
  type        = bool
  default     = true
  description = "Boots signed systems only. False for images that were built for arm64."
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
  default     = "pd-ssd"
  description = "Type of that disk."

  validation {
    condition     = can(regex("^(pd|hyperdisk)-[a-z]+$", var.disk_type))
    error_message = "Variable disk_type must be a type of disk such as pd-ssd."
  }
}
