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

variable "zone" {
  type        = string
  description = "Where in the region the machine and its disk are, such as europe-west1-b."

  validation {
    condition     = startswith(var.zone, "${var.region}-")
    error_message = "Variable zone must be a zone of the region."
  }
}

variable "machine_type" {
  type        = string
  default     = "n2-standard-2"
  description = "Type of the machine."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]+$", var.machine_type))
    error_message = "Variable machine_type must be a type of machine such as n2-standard-2."
  }
}

variable "boot_disk_gib" {
  type        = number
  default     = 10
  description = "Size of the root disk."

  validation {
    condition     = var.boot_disk_gib >= 10 && floor(var.boot_disk_gib) == var.boot_disk_gib
    error_message = "Variable boot_disk_gib must be a whole number, 10 or more."
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
  default     = "pd-ssd"
  description = "Type of both disks."

  validation {
    condition     = can(regex("^(pd|hyperdisk)-[a-z]+$", var.disk_type))
    error_message = "Variable disk_type must be a type of disk such as pd-ssd."
  }
}

variable "address" {
  type        = string
  default     = ""
  description = "Internal address of the mirror. Empty: a free one of the subnetwork, which it then keeps."

  validation {
    condition     = var.address == "" || can(cidrnetmask("${var.address}/32"))
    error_message = "Variable address must be an address of IPv4, or empty."
  }
}

variable "upstreams" {
  type        = list(string)
  default     = []
  description = "Lines of the list of registries, see docs/registry-mirror.md; they name files of credentials, never credentials. Empty: the image's list, Docker Hub. Needs an image with cloud-init."

  validation {
    condition     = alltrue([for l in var.upstreams : can(regex("^[a-z0-9-]+( +[^ @]+)+$", l))])
    error_message = "Variable upstreams must be a list of lines such as \"ghcr https://ghcr.io\"."
  }
}
