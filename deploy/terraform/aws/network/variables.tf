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

variable "cidr" {
  type        = string
  default     = "10.0.0.0/16"
  description = "Private network that the machines get their addresses from."

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.cidr)[1]), 99) <= 22
    error_message = "Variable cidr must be a network of IPv4 between /16 and /22, such as 10.0.0.0/16."
  }
}

variable "availability_zones" {
  type        = list(string)
  description = "Availability zones that have the types of machines: 1 to 8. The first one has the NAT gateway and the mirror."

  validation {
    condition     = length(var.availability_zones) >= 1 && length(var.availability_zones) <= 8 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "Variable availability_zones must name 1 to 8 zones, each once."
  }
}

variable "egress_ports" {
  type        = list(number)
  default     = [80, 443]
  description = "TCP ports that machines may reach anywhere: add the frontend's, and 22 for git by SSH."

  validation {
    condition     = length(var.egress_ports) > 0 && alltrue([for p in var.egress_ports : p >= 1 && p <= 65535])
    error_message = "Variable egress_ports must be a list of ports, and not be empty."
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
