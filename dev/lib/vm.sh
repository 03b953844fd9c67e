# shellcheck shell=bash
# What tests with real microVMs need: QEMU, the programs of the guest, and a kernel.

# vm_kernel_package: prints the package of the kernel's present version; nothing when apt's lists are missing.
vm_kernel_package() { { apt-cache depends linux-image-cloud-amd64 2>/dev/null || true; } | awk '$1 == "Depends:" && !seen++ { print $2 }'; }

# vm_need CACHE: installs the programs, and unpacks Debian's kernel for virtual machines into a directory of CACHE, whose name is exported.
vm_need() {
  local cache=$1 package making
  need qemu-system-x86_64 qemu-system-x86
  need crun crun
  need mksquashfs squashfs-tools
  need mke2fs e2fsprogs
  need nft nftables
  need ip iproute2
  need busybox busybox-static
  package=$(vm_kernel_package)
  [[ -n $package ]] || { as_root apt-get update -qq && package=$(vm_kernel_package); }
  [[ -n $package ]] || { echo 'apt knows no kernel for virtual machines (linux-image-cloud-amd64)' >&2; return 1; }
  export EXECUTOR_TEST_KERNEL=$cache/$package
  [[ -d $EXECUTOR_TEST_KERNEL ]] && return
  mkdir -p "$cache"
  making=$(mktemp -d "$cache/.making-XXXXXX")
  (
    cd "$making"
    apt-get download -qq "$package"
    dpkg -x ./*.deb tree
  ) 2>"$making/log" || { cat "$making/log" >&2; rm -rf "$making"; return 1; }
  mv -T "$making/tree" "$EXECUTOR_TEST_KERNEL"
  rm -rf "$making"
  forget_old "$EXECUTOR_TEST_KERNEL" "$cache"/linux-image-*
}
