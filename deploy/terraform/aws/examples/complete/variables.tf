variable "region" {
  type        = string
  description = "Where it is made, such as eu-west-1."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Variable region must be a region of AWS."
  }
}

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

variable "availability_zones" {
  type        = list(string)
  description = "Availability zones that have the types of machines: 1 to 8. The first one has the NAT gateway and the mirror."

  validation {
    condition     = length(var.availability_zones) >= 1 && length(var.availability_zones) <= 8 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "Variable availability_zones must name 1 to 8 zones, each once."
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

variable "executor_ami_family" {
  type        = string
  description = "Family of the AMI. AMIs are called FAMILY-NUMBER, and the newest is taken."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.executor_ami_family))
    error_message = "Variable executor_ami_family must be 1 to 63 small letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "mirror_ami_family" {
  type        = string
  description = "Family of the AMI. AMIs are called FAMILY-NUMBER, and the newest is taken."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.mirror_ami_family))
    error_message = "Variable mirror_ami_family must be 1 to 63 small letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "token_secret" {
  type        = string
  description = "ARN of the executors' token, in Secrets Manager or the Parameter Store. Machines fetch its value at each boot; it is never read here."

  validation {
    condition     = can(regex("^arn:(aws|aws-cn|aws-us-gov):(secretsmanager|ssm):([a-z0-9-]+):[0-9]{12}:(secret:|parameter/)[A-Za-z0-9/_+=.@-]+$", var.token_secret))
    error_message = "Variable token_secret must be the ARN of a secret or of a parameter: never the token itself."
  }
}

variable "docker_auth_config_secret" {
  type        = string
  default     = ""
  description = "The same for the logins of private registries. Empty: there are none."

  validation {
    condition     = var.docker_auth_config_secret == "" || can(regex("^arn:(aws|aws-cn|aws-us-gov):(secretsmanager|ssm):([a-z0-9-]+):[0-9]{12}:(secret:|parameter/)[A-Za-z0-9/_+=.@-]+$", var.docker_auth_config_secret))
    error_message = "Variable docker_auth_config_secret must be the ARN of a secret or of a parameter, or empty."
  }
}

variable "session_manager" {
  type        = bool
  default     = false
  description = "Lets you log in to machines by the Session Manager. The only way in; needs an image with its agent."
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
