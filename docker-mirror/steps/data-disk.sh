# shellcheck shell=bash
# shellcheck disable=SC2154 # install.sh and run.sh set here and machine_dir
# The disk with what is cached: found and formatted at each boot, and mounted at /mnt/registry.

step() {
  packages e2fsprogs util-linux
  place "$here/first-boot/registry-data-disk" "$machine_dir/registry-data-disk" 755
  place "$here/first-boot/registry-data-disk.service" /etc/systemd/system/registry-data-disk.service 644
  place "$here/first-boot/mnt-registry.mount" /etc/systemd/system/mnt-registry.mount 644
  if [[ ! -d /mnt/registry ]]; then
    mkdir -p /mnt/registry
    changed 'made /mnt/registry'
  fi
}
