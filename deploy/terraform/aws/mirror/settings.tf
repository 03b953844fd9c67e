# What the machine is told. Nothing here asks the cloud: the tests evaluate it.

locals {
  tags = merge(var.tags, { Name = "${var.name_prefix}-mirror" })
  # Before the mirrors start: cloud-init runs first.
  cloud_config = join("\n", ["#cloud-config", yamlencode({
    write_files = [{
      path        = "/etc/registry-mirror/upstreams"
      permissions = "0644"
      content     = "${join("\n", var.upstreams)}\n"
    }]
  })])
}
