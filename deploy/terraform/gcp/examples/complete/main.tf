# Executors and a registry mirror in a network of their own. docs/terraform.md tells how to use it.

provider "google" {
  project = var.project
  region  = var.region
}

module "credentials" {
  source = "../../credentials"

  project                   = var.project
  name_prefix               = var.name_prefix
  token_secret              = var.token_secret
  docker_auth_config_secret = var.docker_auth_config_secret
  metric_writer             = true
}

module "network" {
  source = "../../network"

  project                        = var.project
  region                         = var.region
  name_prefix                    = var.name_prefix
  executor_service_account_email = module.credentials.executor_service_account_email
  mirror_service_account_email   = module.credentials.mirror_service_account_email
}

module "mirror" {
  source = "../../mirror"

  project               = var.project
  region                = var.region
  zone                  = var.zone
  name_prefix           = var.name_prefix
  labels                = var.labels
  subnetwork            = module.network.subnetwork
  service_account_email = module.credentials.mirror_service_account_email
  image_project         = var.image_project
  image_family          = var.mirror_image_family
}

module "executors" {
  source = "../../executors"

  project                   = var.project
  region                    = var.region
  name_prefix               = var.name_prefix
  labels                    = var.labels
  subnetwork                = module.network.subnetwork
  service_account_email     = module.credentials.executor_service_account_email
  image_project             = var.image_project
  image_family              = var.executor_image_family
  frontend_url              = var.frontend_url
  queue_names               = var.queue_names
  token_secret              = var.token_secret
  docker_auth_config_secret = var.docker_auth_config_secret
  mirror_address            = module.mirror.address
  metric_environment        = var.metric_environment
  min_machines              = var.min_machines
  max_machines              = var.max_machines
  spot                      = var.spot
}
