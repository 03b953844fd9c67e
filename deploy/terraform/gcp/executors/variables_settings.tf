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

variable "jobs_per_machine" {
  type        = number
  default     = 2
  description = "EXECUTOR_MAXIMUM_NUM_JOBS: how many jobs run on a machine at the same time. Each may use 4 CPUs and 12 GiB unless settings say otherwise."

  validation {
    condition     = var.jobs_per_machine >= 1 && floor(var.jobs_per_machine) == var.jobs_per_machine
    error_message = "Variable jobs_per_machine must be a whole number, 1 or more."
  }
}

variable "num_total_jobs" {
  type        = number
  default     = 200
  description = "EXECUTOR_NUM_TOTAL_JOBS: after so many a machine makes way for a fresh one. 0: never."

  validation {
    condition     = var.num_total_jobs >= 0 && floor(var.num_total_jobs) == var.num_total_jobs
    error_message = "Variable num_total_jobs must be a whole number, 0 or more."
  }
}

variable "max_active_time" {
  type        = string
  default     = "12h"
  description = "EXECUTOR_MAX_ACTIVE_TIME: after that a machine makes way for a fresh one, of the newest image. 0: never."

  validation {
    condition     = can(regex("^(0|([0-9]+(h|m|s))+)$", var.max_active_time))
    error_message = "Variable max_active_time must be a time such as 12h or 1h30m, or 0."
  }
}

variable "runtime" {
  type        = string
  default     = "auto"
  description = "EXECUTOR_RUNTIME: firecracker, docker, or auto, what the image was made for. Steps of the runtime shell would reach the machine's rights."

  validation {
    condition     = contains(["auto", "firecracker", "docker"], var.runtime)
    error_message = "Variable runtime must be auto, firecracker or docker."
  }
}

variable "mirror_address" {
  type        = string
  default     = ""
  description = "Address of the registry mirror: output address of the module mirror. Empty: there is none."

  validation {
    condition     = var.mirror_address == "" || can(regex("^[a-z0-9.-]+$", var.mirror_address))
    error_message = "Variable mirror_address must be an address without a port, or empty."
  }
}

variable "settings" {
  type        = map(string)
  default     = {}
  description = "Further settings of docs/configuration.md, by name. Never secrets: who may describe a machine reads them."

  validation {
    condition     = alltrue([for k in keys(var.settings) : can(regex("^(EXECUTOR_[A-Z0-9_]+|SRC_[A-Z0-9_]+|OTEL_[A-Z0-9_]+|NODE_EXPORTER_URL|DOCKER_REGISTRY_NODE_EXPORTER_URL|HTTP_PROXY|HTTPS_PROXY|NO_PROXY)$", k))])
    error_message = "Variable settings has a name that is none of the executor's settings."
  }

  validation {
    condition     = alltrue([for k in keys(var.settings) : !contains(["EXECUTOR_FRONTEND_PASSWORD", "EXECUTOR_DOCKER_AUTH_CONFIG"], k)])
    error_message = "Variable settings has a secret: keep it in the secret manager, and give its name by token_secret or docker_auth_config_secret."
  }

  validation {
    condition     = alltrue([for v in values(var.settings) : !can(regex("[\r\n]", v))])
    error_message = "Variable settings has a value of more than one line."
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
