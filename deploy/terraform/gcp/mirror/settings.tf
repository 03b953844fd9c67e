# What the machine is told. Nothing here asks the cloud: the tests evaluate it.

locals {
  labels = merge(var.labels, { set = var.name_prefix, role = "registry-mirror" })
  metadata = merge(
    {
      enable-oslogin         = "TRUE"
      block-project-ssh-keys = "TRUE"
      serial-port-enable     = "FALSE"
    },
    length(var.upstreams) == 0 ? {} : { user-data = local.cloud_config },
  )
  # Before the mirrors start: cloud-init runs first.
  cloud_config = join("\n", ["#cloud-config", yamlencode({
    write_files = [{
      path        = "/etc/registry-mirror/upstreams"
      permissions = "0644"
      content     = "${join("\n", var.upstreams)}\n"
    }]
  })])
}
