# Executors and a registry mirror in a network of their own. docs/terraform.md tells how to use it.

provider "aws" {
  region = var.region
}

module "credentials" {
  source = "../../credentials"

  name_prefix               = var.name_prefix
  tags                      = var.tags
  token_secret              = var.token_secret
  docker_auth_config_secret = var.docker_auth_config_secret
  session_manager           = var.session_manager
}

module "network" {
  source = "../../network"

  name_prefix        = var.name_prefix
  tags               = var.tags
  availability_zones = var.availability_zones
}

module "mirror" {
  source = "../../mirror"

  name_prefix           = var.name_prefix
  tags                  = var.tags
  subnet_id             = module.network.subnet_ids[0]
  availability_zone     = var.availability_zones[0]
  security_group_id     = module.network.mirror_security_group_id
  instance_profile_name = module.credentials.mirror_instance_profile_name
  ami_owner             = var.ami_owner
  ami_family            = var.mirror_ami_family
}

module "executors" {
  source = "../../executors"

  name_prefix               = var.name_prefix
  tags                      = var.tags
  subnet_ids                = module.network.subnet_ids
  security_group_id         = module.network.executors_security_group_id
  instance_profile_arn      = module.credentials.executor_instance_profile_arn
  ami_owner                 = var.ami_owner
  ami_family                = var.executor_ami_family
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
