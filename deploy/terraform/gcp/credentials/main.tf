# Who the machines are, and the little that they may do: read the secrets by name, and with log_shipping write logs.

locals {
  # Rights are on a secret as a whole, not on a version.
  whole_secret = "^projects/[^/]+/secrets/[^/]+"
  members = {
    executor = google_service_account.executor.member
    mirror   = google_service_account.mirror.member
  }
  shipping = var.log_shipping ? {
    for pair in setproduct(keys(local.members), ["roles/logging.logWriter", "roles/monitoring.metricWriter"]) :
    "${pair[0]} ${pair[1]}" => { member = pair[0], role = pair[1] }
  } : {}
}

resource "google_service_account" "executor" {
  project      = var.project
  account_id   = "${var.name_prefix}-executor"
  display_name = "Executors ${var.name_prefix}"
}

resource "google_service_account" "mirror" {
  project      = var.project
  account_id   = "${var.name_prefix}-mirror"
  display_name = "Registry mirror ${var.name_prefix}"
}

resource "google_secret_manager_secret_iam_member" "token" {
  secret_id = regex(local.whole_secret, var.token_secret)
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.executor.member
}

resource "google_secret_manager_secret_iam_member" "docker_auth_config" {
  count = var.docker_auth_config_secret == "" ? 0 : 1

  secret_id = regex(local.whole_secret, var.docker_auth_config_secret)
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.executor.member
}

resource "google_project_iam_member" "shipping" {
  for_each = local.shipping

  project = var.project
  role    = each.value.role
  member  = local.members[each.value.member]
}

resource "google_service_account" "metric_writer" {
  count = var.metric_writer ? 1 : 0

  project      = var.project
  account_id   = "${var.name_prefix}-metric-writer"
  display_name = "Queue metric ${var.name_prefix}"
}

resource "google_project_iam_custom_role" "metric_writer" {
  count = var.metric_writer ? 1 : 0

  project     = var.project
  role_id     = replace("${var.name_prefix}_metric_writer", "-", "_")
  title       = "Queue metric ${var.name_prefix}"
  description = "Writes time series, and nothing else."
  permissions = ["monitoring.timeSeries.create"]
}

resource "google_project_iam_member" "metric_writer" {
  count = var.metric_writer ? 1 : 0

  project = var.project
  role    = google_project_iam_custom_role.metric_writer[0].name
  member  = google_service_account.metric_writer[0].member
}
