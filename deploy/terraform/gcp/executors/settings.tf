# What machines are told, and what the group scales by. Nothing here asks the cloud: the tests evaluate it.

locals {
  labels = merge(var.labels, { set = var.name_prefix, role = "executor" })

  # docs/machine-images.md: lines NAME=value. Secrets are names in Secret Manager, which the machine resolves by its own right.
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
  settings_text = "${join("\n", [for name, value in local.settings : "${name}=${value}"])}\n"

  metric_queue  = var.metric_queue != "" ? var.metric_queue : join("_", sort(var.queue_names))
  metric_filter = var.metric_filter != "" ? var.metric_filter : "resource.type = \"global\" AND metric.labels.queueName = \"${local.metric_queue}\" AND metric.labels.environment = \"${var.metric_environment}\""
}
