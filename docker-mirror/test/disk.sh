#!/usr/bin/env bash
# Boots what docker-mirror/install.sh has made, in QEMU with a blank second disk, and runs verify.sh in it: the mirror pulls from a registry that
# is stopped then, and serves the same again, also after a restart. By translation where there is no KVM, which takes some minutes. Not a part of
# dev/test.
#
#   docker-mirror/test/disk.sh TREE   the root, a tar archive, that docker-mirror/test/run.sh leaves in $OUTPUT
#   ACCELERATOR=kvm docker-mirror/test/disk.sh …  where KVM works
#
# Needs root, amd64, QEMU, a Docker engine and apt's network.
set -euo pipefail
(($# == 1)) || { sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
tree=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source dev/lib/stages.sh
source dev/lib/packages.sh
source dev/lib/engine.sh

work=$(mktemp -d /var/tmp/mirror-image-XXXXXX)
made=registry-mirror-disk-test:$$ container=registry-mirror-disk-test-$$
cleanup() {
  docker rm --force "$container" >/dev/null 2>&1 || true
  docker rmi --force "$made" >/dev/null 2>&1 || true
  engine_stop
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# disks: $work/disk.raw with the root, a kernel, and a unit that runs verify.sh once all is up; the kernel beside it; $work/data.raw, blank.
disks() {
  docker import "$tree" "$made" >/dev/null
  # verify.sh's registry is in Python, which every cloud's image has. No data disk is named: the one that is there has to be found.
  docker run --name "$container" --network host --entrypoint /bin/bash "$made" -euc '
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends initramfs-tools linux-image-cloud-amd64 python3 udev
    : >/etc/fstab
    printf "%s\n" "[Unit]" After=multi-user.target "[Service]" Type=oneshot StandardOutput=journal+console StandardError=journal+console \
      "ExecStart=/bin/bash /root/verify.sh" "ExecStopPost=/bin/sh -c \"echo verify ended: \$SERVICE_RESULT >/dev/console; systemctl poweroff --no-block\"" \
      "[Install]" WantedBy=multi-user.target >/etc/systemd/system/verify.service
    systemctl enable -q verify.service' >"$work/packages.log" 2>&1 || { tail -n 20 "$work/packages.log" >&2; return 1; }
  docker cp -q docker-mirror/verify.sh "$container:/root/verify.sh"
  mkdir "$work/root"
  docker export "$container" | tar -x -C "$work/root"
  mv "$work"/root/boot/vmlinuz-* "$work/vmlinuz"
  mv "$work"/root/boot/initrd.img-* "$work/initrd"
  truncate --size 3G "$work/disk.raw"
  mke2fs -q -t ext4 -d "$work/root" "$work/disk.raw"
  truncate --size 2G "$work/data.raw"
}

boot() {
  timeout --kill-after=10 1200 qemu-system-x86_64 -accel "${ACCELERATOR:-tcg}" -cpu max -m 1024 -smp 2 -display none -no-reboot -serial "file:$work/console.log" \
    -kernel "$work/vmlinuz" -initrd "$work/initrd" -append 'root=/dev/vda rw console=ttyS0' \
    -drive "file=$work/disk.raw,format=raw,if=virtio" -drive "file=$work/data.raw,format=raw,if=virtio" -nic user,restrict=on </dev/null
  grep --text --only-matching 'verify.sh.*\|bash\[.*\]: .*' "$work/console.log" || true
  grep --text --quiet 'verify ended: success' "$work/console.log" || { tail -n 40 "$work/console.log" >&2; return 1; }
  # The blank disk is the cache's now.
  [[ $(blkid --output value --match-tag LABEL "$work/data.raw") == registry-mirror ]]
}

need qemu-system-x86_64 qemu-system-x86
need mke2fs e2fsprogs
engine_need
stage 'the disks' disks
stage 'the mirror boots, pulls, and serves again without its upstream' boot
finish
