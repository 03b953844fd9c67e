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

variable "scaling_jobs_per_machine" {
  type        = number
  default     = 0
  description = "How many jobs of the queue, waiting and running, there is to be a machine for. 0: as many as it runs at the same time."

  validation {
    condition     = var.scaling_jobs_per_machine >= 0
    error_message = "Variable scaling_jobs_per_machine must be 0 or more."
  }
}

variable "metric_queue" {
  type        = string
  default     = ""
  description = "The metric's queueName. Empty: the queues' names in order, joined by underscores, as the metric's sender does."

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]*$", var.metric_queue))
    error_message = "Variable metric_queue must be letters, digits, underscores and hyphens, or empty."
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

variable "metric_namespace" {
  type        = string
  default     = "sourcegraph-executor"
  description = "Namespace of the metric of CloudWatch that tells how many jobs wait and run."

  validation {
    condition     = can(regex("^[A-Za-z0-9._/#-]{1,255}$", var.metric_namespace))
    error_message = "Variable metric_namespace must be 1 to 255 letters, digits, and any of . _ / # -."
  }
}

variable "metric_name" {
  type        = string
  default     = "src_executors_queue_size"
  description = "Name of that metric. Its dimensions are queueName and environment."

  validation {
    condition     = can(regex("^[!-~]{1,255}$", var.metric_name))
    error_message = "Variable metric_name must be 1 to 255 characters without a space."
  }
}

variable "warmup_seconds" {
  type        = number
  default     = 300
  description = "How long a machine takes until it runs jobs."

  validation {
    condition     = var.warmup_seconds >= 0 && var.warmup_seconds <= 3600
    error_message = "Variable warmup_seconds must be 0 to 3600."
  }
}

variable "spot" {
  type        = bool
  default     = false
  description = "Takes spot capacity: cheaper, and a machine may go at any moment. Its jobs then run again elsewhere."
}
