# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets files and machine_dir
# What microVMs need: QEMU, a kernel, the guests' root, and Firecracker with its jailer. The parts of "executor install all", one by one, since
# that leaves out Firecracker on a machine without KVM, and this one builds for others.
#
#   LEAVE_OUT  with the word microvms: none of it; with firecracker: QEMU alone runs the machines. On arm64 there are none.
#
# The guests' root is files/executor-vm.tar, a docker archive. Firecracker is files/firecracker and files/jailer where they are staged, else
# the release that the executor fetches and checks.

readonly archive=$files/executor-vm.tar
readonly layout=$machine_dir/executor-vm
readonly vm_dir=/var/lib/executor/vm

step() {
  if [[ $(dpkg --print-architecture) != amd64 ]] || left_out microvms; then
    image_default docker
    return
  fi
  packages qemu-system-x86 e2fsprogs squashfs-tools nftables
  kernel
  root
  firecracker
  # Settings of the operator's win over it.
  content /etc/systemd/system/executor.service.d/microvm-root.conf 644 <<-CONF
	[Service]
	Environment=EXECUTOR_FIRECRACKER_IMAGE=oci:$layout
	CONF
  image_default firecracker
}

# image_default RUNTIME: what the first boot takes when the settings name no runtime.
image_default() { content "$machine_dir/runtime.env" 644 <<<"EXECUTOR_RUNTIME=$1"; }

# kernel: a new executor may bring a new agent, so it is made again for each.
kernel() {
  if [[ ! -f $vm_dir/kernel/vmlinux ]]; then absent /var/lib/machine-image/kernel; fi
  once kernel /usr/lib/executor/vmagent make_kernel
}

make_kernel() {
  apt_lists
  configured executor install kernel || stop 'the kernel for microVMs could not be made, see above'
  changed 'made the kernel and initramfs of microVMs'
}

# root: the guests' root as an OCI layout. The executor makes a disk of it at its first start, in seconds. Not here: that file is mostly a
# hole, and has 64 GiB for whatever copies a machine file by file.
root() {
  [[ -f $archive ]] || stop 'files/executor-vm.tar, the root of microVMs, is missing (//docker-images/executor-vm:image_tarball); stage it, or put microvms into LEAVE_OUT'
  if [[ ! -f $layout/index.json ]]; then absent /var/lib/machine-image/executor-vm.tar; fi
  once executor-vm.tar "$archive" make_root
}

make_root() {
  packages skopeo
  rm -rf "$layout"
  mkdir -p "$machine_dir"
  skopeo --insecure-policy copy --quiet "docker-archive:$archive" "oci:$layout"
  # Whether it will do is known now.
  local scratch
  scratch=$(mktemp -d /var/tmp/root-XXXXXX)
  configured EXECUTOR_VM_DIR="$scratch" executor install vm-image || stop 'no disk can be made of the root of microVMs, see above'
  rm -r "$scratch"
  changed 'made the root of microVMs'
}

firecracker() {
  if left_out firecracker; then return; fi
  if [[ -f $files/firecracker && -f $files/jailer ]]; then
    place "$files/firecracker" /usr/local/bin/firecracker 755
    place "$files/jailer" /usr/local/bin/jailer 755
  elif [[ ! -x /usr/local/bin/firecracker || ! -x /usr/local/bin/jailer ]]; then
    executor install firecracker ||
      stop 'Firecracker could not be had: stage files/firecracker and files/jailer, or put firecracker into LEAVE_OUT (QEMU then runs microVMs)'
    changed 'installed Firecracker and its jailer'
  fi
}

# configured COMMAND…: runs it with settings as the service will have them. The frontend is none that would be asked.
configured() {
  env EXECUTOR_FRONTEND_URL=http://127.0.0.1:1 EXECUTOR_FRONTEND_PASSWORD=none EXECUTOR_QUEUE_NAME=none EXECUTOR_RUNTIME=firecracker \
    EXECUTOR_VM_DIR="$vm_dir" EXECUTOR_FIRECRACKER_IMAGE="oci:$layout" "$@"
}
