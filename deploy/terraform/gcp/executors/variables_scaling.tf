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

variable "metric_type" {
  type        = string
  default     = "custom.googleapis.com/executors/queue/size"
  description = "Metric of Cloud Monitoring that tells how many jobs wait and run."

  validation {
    condition     = can(regex("^[a-z0-9.-]+/[A-Za-z0-9/_:.-]+$", var.metric_type))
    error_message = "Variable metric_type must be a type of metric such as custom.googleapis.com/executors/queue/size."
  }
}

variable "metric_filter" {
  type        = string
  default     = ""
  description = "Which time series of the metric it is. Empty: the one of the resource global with the labels queueName and environment."

  validation {
    condition     = var.metric_filter == "" || can(regex("resource\\.type", var.metric_filter))
    error_message = "Variable metric_filter must name a resource.type, or be empty."
  }
}

variable "cooldown_seconds" {
  type        = number
  default     = 300
  description = "How long a machine takes until it runs jobs."

  validation {
    condition     = var.cooldown_seconds >= 60 && var.cooldown_seconds <= 3600
    error_message = "Variable cooldown_seconds must be 60 to 3600."
  }
}

variable "scale_in" {
  type        = bool
  default     = true
  description = "Takes machines away when there is less to do. Google picks them, and gives their jobs a minute and a half: false where that mustn't be."
}

variable "scale_in_machines" {
  type        = number
  default     = 1
  description = "At most so many go in each scale_in_window_seconds."

  validation {
    condition     = var.scale_in_machines >= 1 && floor(var.scale_in_machines) == var.scale_in_machines
    error_message = "Variable scale_in_machines must be a whole number, 1 or more."
  }
}

variable "scale_in_window_seconds" {
  type        = number
  default     = 1800
  description = "Machines go only when the work of all this time would have been done by fewer: no less than a job usually takes."

  validation {
    condition     = var.scale_in_window_seconds >= 60 && var.scale_in_window_seconds <= 3600
    error_message = "Variable scale_in_window_seconds must be 60 to 3600."
  }
}

variable "spot" {
  type        = bool
  default     = false
  description = "Takes spot capacity: cheaper, and a machine may go at any moment. Its jobs then run again elsewhere."
}
