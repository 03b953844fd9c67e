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

variable "secret_kms_key_arns" {
  type        = list(string)
  default     = []
  description = "Keys that the secrets are encrypted with, where these are not the account's own."

  validation {
    condition     = alltrue([for k in var.secret_kms_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$", k))])
    error_message = "Variable secret_kms_key_arns must be a list of ARNs of keys."
  }
}

variable "log_shipping" {
  type        = bool
  default     = false
  description = "Lets machines write to their groups of logs: for images that were built with log_shipping."
}

variable "session_manager" {
  type        = bool
  default     = false
  description = "Lets you log in to machines by the Session Manager. The only way in; needs an image with its agent."
}

variable "metric_namespace" {
  type        = string
  default     = "sourcegraph-executor"
  description = "The queue metric's namespace, which the policy for its sender allows."

  validation {
    condition     = can(regex("^[A-Za-z0-9._/#-]{1,255}$", var.metric_namespace)) && !startswith(var.metric_namespace, "AWS/")
    error_message = "Variable metric_namespace must be 1 to 255 letters, digits, and any of . _ / # -, and not begin with AWS/."
  }
}
