# Runs install.sh for real in a container, twice, and keeps the container's root as a tar archive. dev/image_test makes the image, from a
# Debian root, and the folder that this lies in: what the machine image's folder has, and what is tested with.

variable "image" {
  type        = string
  description = "The image of a Debian root."
}

variable "export_path" {
  type        = string
  description = "File for the root that the steps have made."
}

variable "environment" {
  type        = list(string)
  description = "Options of install.sh."
}

source "docker" "image" {
  image       = var.image
  pull        = false
  export_path = var.export_path
  # The host's network: apt reaches what the host's own does.
  run_command = ["-d", "-i", "-t", "--network=host", "--entrypoint=/bin/sh", "--", "{{.Image}}"]
}

build {
  sources = ["source.docker.image"]

  provisioner "shell" {
    inline = ["mkdir -p -m 700 /tmp/machine-image"]
  }

  provisioner "file" {
    sources     = ["${path.root}/install.sh", "${path.root}/steps", "${path.root}/first-boot", "${path.root}/files", "${path.root}/twice.sh"]
    destination = "/tmp/machine-image/"
  }

  provisioner "shell" {
    environment_vars = var.environment
    inline           = ["bash /tmp/machine-image/twice.sh", "rm -r /tmp/machine-image"]
  }
}
