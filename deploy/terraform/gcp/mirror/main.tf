# The registry mirror: one machine with an address and a disk that outlive it.

data "google_compute_image" "mirror" {
  project = var.image_project
  family  = var.image_family
}

resource "google_compute_address" "mirror" {
  project      = var.project
  region       = var.region
  name         = "${var.name_prefix}-mirror"
  description  = "Of the registry mirror, in the executors' settings."
  address_type = "INTERNAL"
  subnetwork   = var.subnetwork
  address      = var.address == "" ? null : var.address
}

resource "google_compute_disk" "data" {
  project = var.project
  zone    = var.zone
  name    = "${var.name_prefix}-mirror-data"
  type    = var.disk_type
  size    = var.data_disk_gib
  labels  = local.labels

  dynamic "disk_encryption_key" {
    for_each = var.kms_key == "" ? [] : [var.kms_key]
    content {
      kms_key_self_link = disk_encryption_key.value
    }
  }
}

resource "google_compute_instance" "mirror" {
  project                   = var.project
  zone                      = var.zone
  name                      = "${var.name_prefix}-mirror"
  machine_type              = var.machine_type
  labels                    = local.labels
  metadata                  = local.metadata
  allow_stopping_for_update = true

  boot_disk {
    kms_key_self_link = var.kms_key == "" ? null : var.kms_key

    initialize_params {
      image = data.google_compute_image.mirror.self_link
      size  = var.boot_disk_gib
      type  = var.disk_type
    }
  }

  attached_disk {
    source = google_compute_disk.data.id
    # By this name the machine knows it.
    device_name = "registry-data"
  }

  network_interface {
    subnetwork = var.subnetwork
    network_ip = google_compute_address.mirror.address
  }

  service_account {
    email  = var.service_account_email
    scopes = ["cloud-platform"]
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }
}
