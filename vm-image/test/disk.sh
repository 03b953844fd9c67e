#!/usr/bin/env bash
# Builds the QEMU image of executor.pkr.hcl for real and boots it: over a Debian disk that is made here, with its kernel given to QEMU, by
# translation where there is no KVM, which takes a quarter of an hour. The image's executor registers at a frontend on this machine, and runs
# a job in a container. Not a part of dev/test.
#
#   vm-image/test/disk.sh DIR [WORK]  takes executor.deb and frontend (the program) from DIR; what is made stays in WORK
#   ACCELERATOR=kvm vm-image/test/disk.sh …  where KVM works
#
# Needs root, amd64, QEMU and a Docker engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
workspace=$PWD
cache=$HOME/.cache/executor-bazel
source dev/lib/stages.sh
source dev/lib/packages.sh
source dev/lib/engine.sh
source dev/lib/bazel_root.sh
source deploy/packages/test/checks.sh
source deploy/packages/test/machine.sh

# On the disk before install.sh runs, since they take half an hour to install by translation. dev/image_test has it install them.
readonly ahead=(docker.io iptables jq prometheus-node-exporter unattended-upgrades)
readonly port=17080 ssh_port=12222 token=qemu-image-test-0123456789

from=$(realpath "$1")
work=${2:-$(mktemp -d /var/tmp/machine-image-XXXXXX)}
mkdir -p "$work"
work=$(realpath "$work")
readonly from work
running=()
cleanup() {
  local pid
  for pid in "${running[@]}"; do kill "$pid" 2>/dev/null || true; done
  engine_stop
  if [[ -n ${EXECUTOR_TEST_IMAGE-} ]]; then printf 'what was made is in %s\n' "$work"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# A /dev/kvm says little: on machines that are guests themselves it may be there and not work.
accelerator=${ACCELERATOR:-tcg}

# timed WHAT COMMAND…
timed() {
  local began=$SECONDS what=$1
  shift
  say "$what"
  "$@"
  printf -- '-- %ds: %s\n' $((SECONDS - began)) "$what"
}

# disk: $work/disk.raw, a Debian 12 with a kernel and an SSH server that lets $work/key in, and the kernel beside it.
disk() {
  local tree=$work/root
  if [[ -e $work/disk.raw ]]; then return; fi
  rm -rf "$tree"
  cp -a "$machine_base" "$tree"
  ssh-keygen -q -t ed25519 -N '' -f "$work/key"
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --mount --propagation private bash -euo pipefail -c '
    mount -t proc proc "$1/proc"
    cp -L /etc/resolv.conf "$1/etc/"
    export DEBIAN_FRONTEND=noninteractive
    chroot "$1" apt-get update -qq
    chroot "$1" apt-get install -y -qq --no-install-recommends initramfs-tools linux-image-cloud-amd64 openssh-server "${@:2}"
    chroot "$1" systemctl enable -q systemd-networkd ssh
  ' bash "$tree" "${ahead[@]}" >"$work/disk.log" 2>&1 || { tail -n 20 "$work/disk.log" >&2; return 1; }
  install -D -m 600 "$work/key.pub" "$tree/root/.ssh/authorized_keys"
  printf '[Match]\nType=ether\n[Network]\nDHCP=yes\n' >"$tree/etc/systemd/network/any.network"
  # The one that QEMU has for its guests.
  echo 'nameserver 10.0.2.3' >"$tree/etc/resolv.conf"
  echo '/dev/vda / ext4 defaults 0 1' >"$tree/etc/fstab"
  cp "$tree"/boot/vmlinuz-* "$work/vmlinuz"
  cp "$tree"/boot/initrd.img-* "$work/initrd"
  truncate --size 8G "$work/disk.raw"
  mke2fs -q -t ext4 -d "$tree" "$work/disk.raw"
  rm -rf "$tree"
}

readonly append='root=/dev/vda rw console=ttyS0 net.ifnames=0'

image() {
  local stage=$work/stage
  rm -rf "$stage" "$work/image"
  mkdir -p "$stage/files"
  cp -r vm-image/executor.pkr.hcl vm-image/install.sh vm-image/steps vm-image/first-boot "$stage/"
  cp "$from/executor.deb" "$stage/files/"
  (
    cd "$stage"
    export PKR_VAR_name=executors-local-1 PKR_VAR_image_family=executors-local PKR_VAR_version=test PKR_VAR_src_cli_version=none
    export PKR_VAR_tagged_release=false PKR_VAR_aws_regions='["us-west-2"]' PKR_VAR_base=debian-12
    export PKR_VAR_leave_out='["microvms", "src-cli"]' PKR_VAR_qemu_disk="$work/disk.raw" PKR_VAR_qemu_ssh_private_key_file="$work/key"
    export PKR_VAR_qemu_accelerator="$accelerator" PKR_VAR_qemu_output="$work/image"
    export PKR_VAR_qemu_args="[[\"-kernel\", \"$work/vmlinuz\"], [\"-initrd\", \"$work/initrd\"], [\"-append\", \"$append\"], [\"-serial\", \"file:$work/build-console.log\"]]"
    exec timeout 3600 packer build -color=false -only=qemu.image executor.pkr.hcl </dev/null
  ) >"$work/packer.log" 2>&1 &
  # An end of this run is one of Packer's, too, which takes its QEMU along.
  running+=($!)
  wait $! || true
  sed -n 's/^ *qemu.image: \(== .*\)/\1/p' "$work/packer.log"
  [[ -f $work/image/executors-local-1.qcow2 ]] || { tail -n 40 "$work/packer.log" >&2; fail 'Packer made no image'; }
}

frontend() {
  env FRONTEND_EXECUTOR_TOKEN=$token FRONTEND_DATA_DIR="$work/frontend" FRONTEND_LISTEN_ADDR=127.0.0.1:$port "$from/frontend" serve \
    >"$work/frontend.log" 2>&1 &
  running+=($!)
  becomes 30 'the frontend answers' 200 status
}

status() { curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$port/healthz"; }

# boot: the image, with settings by QEMU.
boot() {
  printf '%s\n' "EXECUTOR_FRONTEND_URL=http://10.0.2.2:$port" "EXECUTOR_FRONTEND_PASSWORD=$token" EXECUTOR_QUEUE_NAME=default \
    EXECUTOR_JOB_NUM_CPUS=1 EXECUTOR_JOB_MEMORY=512M >"$work/settings"
  qemu-system-x86_64 -accel "$accelerator" -m 2048 -smp 2 -display none -serial "file:$work/console.log" -snapshot \
    -kernel "$work/vmlinuz" -initrd "$work/initrd" -append "$append" -drive "file=$work/image/executors-local-1.qcow2,if=virtio" \
    -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$ssh_port-:22" -device virtio-net,netdev=net \
    -fw_cfg "name=opt/executor/settings,file=$work/settings" >"$work/qemu.log" 2>&1 &
  running+=($!)
  becomes 600 'the executor has registered' yes registered
}

# in_guest COMMAND…
in_guest() {
  ssh -q -i "$work/key" -p $ssh_port -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=60 root@127.0.0.1 "$@"
}

registered() { if in_guest systemctl is-active --quiet executor; then echo yes; else echo no; fi; }

api() {
  printf 'header = "Authorization: Bearer %s"\n' "$(cat "$work/frontend/api-token")" |
    curl --silent --show-error --fail-with-body --max-time 60 --config - --request "$1" --header 'Content-Type: application/json' ${3:+--data "$3"} \
      "http://127.0.0.1:$port/api/v1$2"
}

state() { api GET "/jobs/$1" | jq --raw-output .state; }

# pending ID: 1 while the job has not ended.
pending() { case $(state "$1") in queued | processing) echo 1 ;; *) echo 0 ;; esac; }

job() {
  local id
  image_need "$work"
  docker save "$EXECUTOR_TEST_IMAGE" | in_guest docker load >/dev/null
  id=$(api POST /jobs "{\"queue\": \"default\", \"steps\": [{\"key\": \"only\", \"image\": \"$EXECUTOR_TEST_IMAGE\", \"run\": \"echo from \$(uname -n) in a container\"}]}" |
    jq --raw-output .id)
  becomes 300 'the job ends' 0 pending "$id"
  same 'the job'\''s end' completed "$(state "$id")"
  api GET "/jobs/$id/logs"
}

need qemu-system-x86_64 qemu-system-x86
need qemu-img qemu-utils
need packer packer
need jq jq
need ssh openssh-client
need mke2fs e2fsprogs
engine_need
machine_base_need
printf 'QEMU works with %s\n' "$accelerator"
timed 'the Debian disk' disk
timed 'the image, by Packer' image
frontend
timed 'the image boots, and its executor registers' boot
timed 'a job in a container' job
in_guest 'systemctl --failed --no-legend; systemd-analyze time; cat /etc/machine-image.env' || true
