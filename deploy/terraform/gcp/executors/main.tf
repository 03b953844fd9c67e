# A group of machines that run executors, as many as the queue needs.

data "google_compute_image" "executor" {
  project = var.image_project
  family  = var.image_family
}

resource "google_compute_instance_template" "executor" {
  project              = var.project
  region               = var.region
  name_prefix          = "${var.name_prefix}-"
  description          = "A machine that runs executors."
  instance_description = "Runs executors."
  machine_type         = var.machine_type
  labels               = local.labels

  metadata = {
    executor-settings      = local.settings_text
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
    serial-port-enable     = "FALSE"
  }

  disk {
    boot         = true
    auto_delete  = true
    source_image = data.google_compute_image.executor.self_link
    disk_size_gb = var.disk_gib
    disk_type    = var.disk_type
    labels       = local.labels

    dynamic "disk_encryption_key" {
      for_each = var.kms_key == "" ? [] : [var.kms_key]
      content {
        kms_key_self_link = disk_encryption_key.value
      }
    }
  }

  # No access_config: machines have no external address.
  network_interface {
    subnetwork = var.subnetwork
  }

  service_account {
    email  = var.service_account_email
    scopes = ["cloud-platform"]
  }

  scheduling {
    provisioning_model  = var.spot ? "SPOT" : "STANDARD"
    preemptible         = var.spot
    automatic_restart   = !var.spot
    on_host_maintenance = var.spot ? "TERMINATE" : "MIGRATE"
  }

  shielded_instance_config {
    enable_secure_boot          = var.secure_boot
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  advanced_machine_features {
    enable_nested_virtualization = var.nested_virtualization
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_region_instance_group_manager" "executor" {
  project                   = var.project
  region                    = var.region
  name                      = "${var.name_prefix}-group"
  description               = "Machines that run executors."
  base_instance_name        = "${var.name_prefix}-executor"
  distribution_policy_zones = length(var.zones) == 0 ? null : var.zones

  version {
    name              = "current"
    instance_template = google_compute_instance_template.executor.self_link
  }

  # A new template takes no machine from its jobs, nor does balance among zones: machines take the template when they are made.
  update_policy {
    type                         = "OPPORTUNISTIC"
    minimal_action               = "REPLACE"
    instance_redistribution_type = "NONE"
  }

  # A machine whose executor has done its work powers off, with images that were built with power_off_at_end. That is how it gets the
  # template.
  instance_lifecycle_policy {
    default_action_on_failure = "REPAIR"
    force_update_on_repair    = "YES"
  }
}

resource "google_compute_region_autoscaler" "executor" {
  project     = var.project
  region      = var.region
  name        = "${var.name_prefix}-autoscaler"
  description = "As many machines as the queue needs."
  target      = google_compute_region_instance_group_manager.executor.id

  autoscaling_policy {
    mode            = var.scale_in ? "ON" : "ONLY_SCALE_OUT"
    min_replicas    = var.min_machines
    max_replicas    = var.max_machines
    cooldown_period = var.cooldown_seconds

    metric {
      name                       = var.metric_type
      filter                     = local.metric_filter
      single_instance_assignment = var.scaling_jobs_per_machine > 0 ? var.scaling_jobs_per_machine : var.jobs_per_machine
    }

    scale_in_control {
      time_window_sec = var.scale_in_window_seconds

      max_scaled_in_replicas {
        fixed = var.scale_in_machines
      }
    }
  }
}
