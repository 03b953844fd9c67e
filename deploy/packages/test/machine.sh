# shellcheck shell=bash
# A Debian machine for tests: systemd as process 1 in namespaces of its own, over a clean root that is made once and never written to.
# Sourced by dev/package_test, after dev/lib/stages.sh, packages.sh and bazel_root.sh.

readonly machine_suite=bookworm
# What a server has, what the packages depend on, what microVMs need but for QEMU, and what the test asks with. rpm only installs here.
readonly machine_packages=(ca-certificates curl dbus e2fsprogs git iproute2 nftables procps rpm squashfs-tools systemd systemd-sysv)

# machine_base_need: sees to it that the clean root is there, and sets machine_base.
machine_base_need() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/open-executor key mirror lock
  key=$(printf '%s\n' "$machine_suite" "${machine_packages[@]}" | sha256sum | cut -c1-12)
  machine_base=$cache/debian-$machine_suite-$key
  if [[ -e $machine_base ]]; then return; fi
  need debootstrap debootstrap
  mirror=$(host_mirror)
  [[ -n $mirror ]] || {
    echo "this machine's apt has no Debian mirror: the clean Debian root is made from one" >&2
    return 1
  }
  mkdir -p "$cache"
  exec {lock}>"$cache/debian.lock"
  flock "$lock"
  if [[ ! -e $machine_base ]]; then
    say "making a clean Debian root in $machine_base, once (a minute or two, 400 MB)"
    as_root rm -rf "$machine_base.partial"
    as_root unshare --mount --propagation private \
      bash -euo pipefail -c 'source "$1"; machine_base_make "$2" "$3"' bash "${BASH_SOURCE[0]}" "$machine_base.partial" "$mirror" \
      >"$cache/debian.log" 2>&1 || {
      printf 'the root could not be made; the end of %s:\n' "$cache/debian.log" >&2
      tail -n 20 "$cache/debian.log" >&2
      return 1
    }
    as_root mv "$machine_base.partial" "$machine_base"
    forget_old "$machine_base" "$cache/debian-$machine_suite"-????????????
  fi
  exec {lock}>&-
}

# machine_base_make DIR MIRROR: makes the root. As root, in a mount namespace of its own.
machine_base_make() {
  mkdir "$1"
  # In memory first: dpkg syncs each file, which on a disk takes several times as long as all the rest.
  mount -t tmpfs tmpfs /mnt
  debootstrap --variant=minbase --include="$(IFS=,; echo "${machine_packages[*]}")" "$machine_suite" /mnt/root "$2"
  rm /mnt/root/var/cache/apt/archives/*.deb
  echo machine >/mnt/root/etc/hostname
  cp -a /mnt/root/. "$1"
}

# machine_enter: what becomes process 1. Runs as root in fresh namespaces: BASE is the clean root, DIR takes what is written. Its network
# has loopback only.
machine_enter() {
  local base=$1 dir=$2 root=$2/root device
  mkdir -p "$dir"/{upper,work,root}
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$dir/upper,workdir=$dir/work" "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for device in null zero full random urandom tty; do cp -a "/dev/$device" "$root/dev/"; done
  # What microVMs are made with, where the host has it.
  mkdir "$root/dev/net"
  for device in kvm net/tun; do if [[ -c /dev/$device ]]; then cp -a "/dev/$device" "$root/dev/$device"; fi; done
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
  mount -t tmpfs tmpfs "$root/dev/shm"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  # Version 2 only, whatever the host has: systemd needs it for nothing but keeping services' processes together.
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  hostname machine
  ip link set lo up
  cd "$root" || return
  pivot_root . mnt
  exec chroot . /bin/sh -c 'umount -l /mnt; exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd'
}

# machine_boot DIR: boots a machine over the clean root, and sets machine_pid.
machine_boot() {
  local dir=$1 waited state
  machine_cgroup=$(findmnt --noheadings --first-only --output TARGET --types cgroup2)/executor-package-test-$BASHPID
  mkdir "$machine_cgroup"
  # The cgroup namespace begins at the cgroup that this shell is in when it is made. Nothing outlives the test.
  # shellcheck disable=SC2016 # the inner shell expands it
  bash -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' bash "$machine_cgroup" \
    setpriv --pdeathsig KILL unshare --mount --propagation private --uts --ipc --net --cgroup --pid --fork --kill-child \
    bash -euo pipefail -c 'source "$1"; machine_enter "$2" "$3"' bash "${BASH_SOURCE[0]}" "$machine_base" "$dir" \
    >"$dir/console.log" 2>&1 </dev/null &
  machine_unshare=$!
  for ((waited = 0; waited < 300; waited++)); do
    machine_pid=$(pgrep --parent "$machine_unshare" || true)
    state=
    if [[ -n $machine_pid && $(readlink "/proc/$machine_pid/exe") == */systemd ]]; then
      state=$(inside systemctl is-system-running 2>/dev/null || true)
    fi
    if [[ $state == running ]]; then return; fi
    if [[ $state == degraded ]] || ! kill -0 "$machine_unshare" 2>/dev/null; then break; fi
    sleep 0.2
  done
  printf 'the machine did not boot (%s); what it said:\n' "${state:-no systemd}" >&2
  cat "$dir/console.log" >&2
  if [[ $state == degraded ]]; then inside systemctl --no-pager --failed >&2; fi
  return 1
}

# machine_unbooted DIR COMMAND…: runs it in a fresh copy of the root, as when an image is made: no systemd, no network, and DIR/files as
# /srv.
machine_unbooted() {
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --mount --propagation private --net bash -euo pipefail -c '
    base=$1 dir=$2
    shift 2
    mkdir "$dir/upper" "$dir/work" "$dir/root"
    mount -t overlay overlay -o "lowerdir=$base,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
    mount -t proc proc "$dir/root/proc"
    mount --bind "$dir/files" "$dir/root/srv"
    exec chroot "$dir/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
  ' bash "$machine_base" "$@"
}

# inside COMMAND…: runs it in the machine, as root.
inside() {
  nsenter --target "$machine_pid" --all --root --wd env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"
}

# machine_stop: ends the machine with all that runs in it.
machine_stop() {
  [[ -n ${machine_unshare-} ]] || return 0
  kill -KILL "$machine_unshare" 2>/dev/null || true
  wait "$machine_unshare" 2>/dev/null || true
  machine_unshare=
  # Its processes die with process 1, not quite at once.
  local waited
  for ((waited = 0; waited < 100; waited++)); do
    if find "$machine_cgroup" -depth -type d -exec rmdir {} + 2>/dev/null; then return; fi
    sleep 0.1
  done
  printf 'processes of the machine are left: %s\n' "$machine_cgroup" >&2
}
