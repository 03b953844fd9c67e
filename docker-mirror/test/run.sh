#!/usr/bin/env bash
# Runs docker-mirror/install.sh for real in a container, by Packer, twice, and tries out what it has made.
#
#   docker-mirror/test/run.sh IMAGE REGISTRY_MIRROR
#
#   IMAGE             of a Debian root, in the local Docker engine
#   REGISTRY_MIRROR   the program for linux/amd64, linked statically
#   PACKER            packer when unset
#   OUTPUT            a file for the root that was made, a tar archive; "" keeps none
#
# Needs root, Docker, packer and apt's network. The parts can be run alone: data_disk_test.sh, instances_test.sh.
set -euo pipefail
(($# == 2)) || { sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
image=$1
program=$(realpath "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

work=$(mktemp -d)
made=registry-mirror-image-test:$$
end() {
  docker rmi --force "$made" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap end EXIT

mkdir -p "$work/steps" "$work/files"
cp "$here"/../vm-image/steps/*.sh "$work/steps"
cp "$here"/steps/*.sh "$work/steps"
cp -r "$here/install.sh" "$here/first-boot" "$here/verify.sh" "$here/../vm-image/test/docker.pkr.hcl" "$here/../vm-image/test/twice.sh" "$work"
install -m 755 "$program" "$work/files/registry-mirror"

echo '== install.sh, twice'
export PKR_VAR_image=$image PKR_VAR_export_path=$work/root.tar PKR_VAR_environment='["PLATFORM_TYPE=docker"]'
timeout --kill-after=60 900 "${PACKER:-packer}" build -color=false "$work/docker.pkr.hcl" </dev/null

echo '== what was made'
docker import "$work/root.tar" "$made" >/dev/null
# shellcheck disable=SC2016 # it expands there
timeout --kill-after=60 300 docker run --rm --network none --entrypoint /bin/bash "$made" -euc '
  cd /etc/systemd/system
  systemd-analyze verify registry-mirror.service registry-mirror@docker-io.service registry-data-disk.service mnt-registry.mount \
    prometheus-exporter-exporter.service prometheus-node-exporter.service machine-firewall.service
  for unit in registry-mirror prometheus-exporter-exporter prometheus-node-exporter machine-firewall; do
    [ "$(systemctl is-enabled $unit)" = enabled ] || { echo "$unit is not enabled"; exit 1; }
  done
  score=$(systemd-analyze security --offline=true --no-pager registry-mirror@.service | sed -n "s/.*exposure level.*: \([0-9.]*\).*/\1/p")
  echo "exposure level of a mirror: $score"
  awk "BEGIN { exit !($score > 0 && $score < 2) }"
  [ "$(registry-mirror list)" = "docker-io https://registry-1.docker.io :5000 127.0.0.1:5001" ]
  [ "$(stat -c "%a %U" /etc/registry-mirror/credentials)" = "700 registry-mirror" ]
  for command in bash jq mkfs.ext4 wipefs blkid lsblk; do command -v $command >/dev/null || { echo "no $command"; exit 1; }; done
  for script in /usr/lib/machine-image/registry-*; do bash -n $script; done
'
timeout --kill-after=60 60 docker run --rm --network none --cap-add NET_ADMIN --entrypoint /bin/bash "$made" -euc '
  nft -f /usr/lib/machine-image/firewall.nft
  nft list chain inet machine_firewall input | grep -F "tcp dport { 5000-5099, 9999 } accept"
'

echo '== the list, and the disk'
"$here/test/instances_test.sh" "$program"
"$here/test/data_disk_test.sh"
if [[ -n ${OUTPUT-} ]]; then mv "$work/root.tar" "$OUTPUT"; fi
echo '== the registry mirror image: all is well'
