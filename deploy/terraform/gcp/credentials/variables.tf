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

variable "token_secret" {
  type        = string
  description = "Name of the executors' token in Secret Manager, projects/PROJECT/secrets/SECRET with or without /versions/VERSION. Its value is never read here."

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

variable "log_shipping" {
  type        = bool
  default     = false
  description = "Lets machines write logs and metrics to the cloud: for images that were built with log_shipping."
}

variable "metric_writer" {
  type        = bool
  default     = false
  description = "Makes a service account that may write the queue metric, for the machine that does. It gets no key here."
}
