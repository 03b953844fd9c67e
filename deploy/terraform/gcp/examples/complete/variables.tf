variable "project" {
  type        = string
  description = "Id of the project that everything is made in."

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "Variable project must be the id of a project: 6 to 30 small letters, digits and hyphens."
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

variable "zone" {
  type        = string
  description = "Where in the region the machine and its disk are, such as europe-west1-b."

  validation {
    condition     = startswith(var.zone, "${var.region}-")
    error_message = "Variable zone must be a zone of the region."
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

variable "executor_image_family" {
  type        = string
  description = "Family of the machine image; the newest of it that isn't deprecated is taken."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.executor_image_family))
    error_message = "Variable executor_image_family must be 1 to 63 small letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "mirror_image_family" {
  type        = string
  description = "Family of the machine image; the newest of it that isn't deprecated is taken."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.mirror_image_family))
    error_message = "Variable mirror_image_family must be 1 to 63 small letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "token_secret" {
  type        = string
  description = "Name of the executors' token in Secret Manager, projects/PROJECT/secrets/SECRET with or without /versions/VERSION. Machines fetch its value at each boot."

  validation {
    condition     = can(regex("^projects/[a-z0-9:.-]+/secrets/[A-Za-z0-9_-]+(/versions/[a-z0-9_-]+)?$", var.token_secret))
    error_message = "Variable token_secret must be of the form projects/PROJECT/secrets/SECRET or …/versions/VERSION: a name, not the token itself."
  }
}

variable "docker_auth_config_secret" {
  type        = string
  default     = ""
  description = "The same for the logins of private registries. Empty: there are none."

  validation {
    condition     = var.docker_auth_config_secret == "" || can(regex("^projects/[a-z0-9:.-]+/secrets/[A-Za-z0-9_-]+(/versions/[a-z0-9_-]+)?$", var.docker_auth_config_secret))
    error_message = "Variable docker_auth_config_secret must be of the form projects/PROJECT/secrets/SECRET or …/versions/VERSION, or empty."
  }
}

variable "frontend_url" {
  type        = string
  description = "EXECUTOR_FRONTEND_URL: where jobs come from. Its port must be among the network's egress_ports."

  validation {
    condition     = can(regex("^https?://[^@[:space:]]+$", var.frontend_url))
    error_message = "Variable frontend_url must be a URL without a user."
  }
}

variable "queue_names" {
  type        = list(string)
  description = "The queues that jobs are taken from."

  validation {
    condition     = length(var.queue_names) > 0 && alltrue([for q in var.queue_names : can(regex("^[a-z][a-z0-9_-]*$", q))])
    error_message = "Variable queue_names must name at least one queue."
  }
}

variable "metric_environment" {
  type        = string
  default     = "dev"
  description = "The metric's environment: EXECUTOR_METRIC_ENVIRONMENT_LABEL of its sender."

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+$", var.metric_environment))
    error_message = "Variable metric_environment must be letters, digits, underscores, dots and hyphens."
  }
}

variable "min_machines" {
  type        = number
  default     = 1
  description = "Fewest machines. With 0 nothing runs while nobody sends the metric."

  validation {
    condition     = var.min_machines >= 0 && floor(var.min_machines) == var.min_machines
    error_message = "Variable min_machines must be a whole number, 0 or more."
  }
}

variable "max_machines" {
  type        = number
  default     = 10
  description = "Most machines."

  validation {
    condition     = var.max_machines >= 1 && var.max_machines >= var.min_machines && floor(var.max_machines) == var.max_machines
    error_message = "Variable max_machines must be a whole number, 1 or more, and not below min_machines."
  }
}

variable "spot" {
  type        = bool
  default     = false
  description = "Takes spot capacity: cheaper, and a machine may go at any moment. Its jobs then run again elsewhere."
}
