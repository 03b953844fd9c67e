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

variable "subnet_cidr" {
  type        = string
  default     = "10.0.1.0/24"
  description = "Private network that the machines get their addresses from."

  validation {
    condition     = can(cidrnetmask(var.subnet_cidr))
    error_message = "Variable subnet_cidr must be a network of IPv4 such as 10.0.1.0/24."
  }
}

variable "nat" {
  type        = bool
  default     = true
  description = "Makes a NAT gateway. Machines have no external addresses: without it they reach Google's own services only."
}

variable "iap_cidrs" {
  type        = list(string)
  default     = ["35.235.240.0/20"]
  description = "Where SSH may come from: the network of Google's Identity-Aware Proxy. An empty list means no SSH at all."

  validation {
    condition     = alltrue([for c in var.iap_cidrs : can(cidrnetmask(c)) && !endswith(c, "/0")])
    error_message = "Variable iap_cidrs must be a list of networks of IPv4, and never the whole internet."
  }
}

variable "egress_ports" {
  type        = list(string)
  default     = ["80", "443"]
  description = "TCP ports that machines may reach anywhere: add the frontend's, and 22 for git by SSH."

  validation {
    condition     = length(var.egress_ports) > 0 && alltrue([for p in var.egress_ports : can(regex("^[0-9]{1,5}(-[0-9]{1,5})?$", p))])
    error_message = "Variable egress_ports must be a list of ports, or ranges such as 8000-8010, and not be empty."
  }
}

variable "egress_cidrs" {
  type        = list(string)
  default     = ["0.0.0.0/0"]
  description = "Networks that machines may reach at these ports."

  validation {
    condition     = length(var.egress_cidrs) > 0 && alltrue([for c in var.egress_cidrs : can(cidrnetmask(c))])
    error_message = "Variable egress_cidrs must be a list of networks of IPv4, and not be empty."
  }
}

variable "executor_service_account_email" {
  type        = string
  description = "Service account of executors: the firewall knows machines by it."

  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+$", var.executor_service_account_email))
    error_message = "Variable executor_service_account_email must be the address of a service account."
  }
}

variable "mirror_service_account_email" {
  type        = string
  description = "The same of the registry mirror."

  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+$", var.mirror_service_account_email))
    error_message = "Variable mirror_service_account_email must be the address of a service account."
  }
}
