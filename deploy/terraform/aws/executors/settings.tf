# What machines are told, and how many there are. Nothing here asks the cloud: the tests evaluate it.

locals {
  tags = merge(var.tags, { Name = "${var.name_prefix}-executor" })

  # docs/machine-images.md: lines NAME=value. Secrets are ARNs, which the machine resolves by its own right.
  settings = merge(
    {
      EXECUTOR_RUNTIME          = var.runtime
      EXECUTOR_NUM_TOTAL_JOBS   = var.num_total_jobs
      EXECUTOR_MAX_ACTIVE_TIME  = var.max_active_time
      EXECUTOR_MAXIMUM_NUM_JOBS = var.jobs_per_machine
    },
    length(var.queue_names) == 1 ? { EXECUTOR_QUEUE_NAME = var.queue_names[0] } : { EXECUTOR_QUEUE_NAMES = join(",", var.queue_names) },
    var.docker_auth_config_secret == "" ? {} : { EXECUTOR_DOCKER_AUTH_CONFIG_SECRET = var.docker_auth_config_secret },
    var.mirror_address == "" ? {} : {
      EXECUTOR_DOCKER_REGISTRY_MIRROR_URL = "http://${var.mirror_address}:5000"
      DOCKER_REGISTRY_NODE_EXPORTER_URL   = "http://${var.mirror_address}:9999"
    },
    var.settings,
    {
      EXECUTOR_FRONTEND_URL             = var.frontend_url
      EXECUTOR_FRONTEND_PASSWORD_SECRET = var.token_secret
    },
  )
  # By the first line the machine knows that it is meant.
  user_data = "# executor settings\n${join("\n", [for name, value in local.settings : "${name}=${value}"])}\n"

  metric_queue = var.metric_queue != "" ? var.metric_queue : join("_", sort(var.queue_names))

  # Machines for a number of jobs, rounded up: a step for each number of machines, as far as the 20 go that a policy may have.
  scaling_jobs = var.scaling_jobs_per_machine > 0 ? var.scaling_jobs_per_machine : var.jobs_per_machine
  stride       = max(1, ceil((var.max_machines - var.min_machines) / 19))
  sizes        = [for k in range(ceil((var.max_machines - var.min_machines) / local.stride) + 1) : min(var.max_machines, var.min_machines + k * local.stride)]
  # The bounds lie between whole numbers of jobs, so that it doesn't matter which side they belong to.
  steps = [for k, size in local.sizes : {
    machines = size
    above    = k == 0 ? 0 : local.sizes[k - 1] * local.scaling_jobs + 0.5
    below    = size == var.max_machines ? null : size * local.scaling_jobs + 0.5
  }]
}
