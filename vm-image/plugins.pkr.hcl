# The plug-ins that "packer init" fetches. In a file of its own, since Packer before 1.7 has them built in and refuses this block: leave the
# file out there.
packer {
  required_plugins {
    amazon = {
      version = "= 1.3.9"
      source  = "github.com/hashicorp/amazon"
    }
    googlecompute = {
      version = "= 1.1.9"
      source  = "github.com/hashicorp/googlecompute"
    }
    qemu = {
      version = "= 1.1.4"
      source  = "github.com/hashicorp/qemu"
    }
  }
}
