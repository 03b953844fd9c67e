# A network of the executors' own. Nothing comes in from outside but SSH by Google's proxy, and out go the listed ports only.

locals {
  # Pulls, one port for each registry, and metrics: docs/registry-mirror.md.
  mirror_ports     = ["5000-5099", "9999"]
  service_accounts = [var.executor_service_account_email, var.mirror_service_account_email]
}

resource "google_compute_network" "this" {
  project                 = var.project
  name                    = "${var.name_prefix}-network"
  description             = "Of executors and their registry mirror."
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  project       = var.project
  region        = var.region
  name          = "${var.name_prefix}-subnet"
  network       = google_compute_network.this.id
  ip_cidr_range = var.subnet_cidr
  # The secret manager is reached without an external address.
  private_ip_google_access = true
}

resource "google_compute_router" "this" {
  count = var.nat ? 1 : 0

  project = var.project
  region  = var.region
  name    = "${var.name_prefix}-router"
  network = google_compute_network.this.id
}

resource "google_compute_router_nat" "this" {
  count = var.nat ? 1 : 0

  project                            = var.project
  region                             = var.region
  name                               = "${var.name_prefix}-nat"
  router                             = google_compute_router.this[0].name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.this.id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }
}

resource "google_compute_firewall" "ssh" {
  count = length(var.iap_cidrs) > 0 ? 1 : 0

  project                 = var.project
  name                    = "${var.name_prefix}-ssh"
  description             = "SSH by Identity-Aware Proxy."
  network                 = google_compute_network.this.id
  direction               = "INGRESS"
  source_ranges           = var.iap_cidrs
  target_service_accounts = local.service_accounts

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}

resource "google_compute_firewall" "mirror" {
  project                 = var.project
  name                    = "${var.name_prefix}-mirror"
  description             = "Executors pull from the registry mirror, and read its metrics."
  network                 = google_compute_network.this.id
  direction               = "INGRESS"
  source_service_accounts = [var.executor_service_account_email]
  target_service_accounts = [var.mirror_service_account_email]

  allow {
    protocol = "tcp"
    ports    = local.mirror_ports
  }
}

resource "google_compute_firewall" "egress" {
  project                 = var.project
  name                    = "${var.name_prefix}-egress"
  description             = "The frontend, registries, and what jobs fetch."
  network                 = google_compute_network.this.id
  direction               = "EGRESS"
  destination_ranges      = var.egress_cidrs
  target_service_accounts = local.service_accounts

  allow {
    protocol = "tcp"
    ports    = var.egress_ports
  }
}

resource "google_compute_firewall" "egress_mirror" {
  project                 = var.project
  name                    = "${var.name_prefix}-egress-mirror"
  description             = "The way to the registry mirror."
  network                 = google_compute_network.this.id
  direction               = "EGRESS"
  destination_ranges      = [var.subnet_cidr]
  target_service_accounts = [var.executor_service_account_email]

  allow {
    protocol = "tcp"
    ports    = local.mirror_ports
  }
}

# Below the rules above. Names, time and metadata are the cloud's own, which no rule reaches.
resource "google_compute_firewall" "egress_rest" {
  project            = var.project
  name               = "${var.name_prefix}-egress-rest"
  description        = "Nothing else goes out."
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 65000
  destination_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }
}
