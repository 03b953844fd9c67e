#!/usr/bin/env bash
# Makes the machine that it runs on into one that runs executors: Packer runs it, as root, on the machine that the image is made of. It can
# be run again, and then changes only what differs. The steps are in steps/, in the order below, and what they install is in files/.
#
# Options, from the environment:
#
#   PLATFORM_TYPE     gcp, aws, qemu or docker: where the machine will run, and so where its settings come from at boot. Required.
#   VERSION           of the executor, told in /etc/machine-image.env
#   SRC_CLI_VERSION   of files/src, for the log
#   LEAVE_OUT         parts that aren't installed, words: microvms (jobs run in Docker), firecracker (QEMU alone runs microVMs), src-cli
#   FIREWALL_ALLOW    what may come in besides SSH: words tcp:PORT, tcp:PORT@CIDR or udp likewise
#   METRICS_CIDR      the network that may read the metrics of the executor, tcp port 6060; "" is none
#   LOG_SHIPPING      true: the journal goes to the cloud (gcp, aws). Default: false
#   LOG_GROUP         CloudWatch's log group. Default: executors
#   POWER_OFF_AT_END  true: the machine powers off when the executor has ended by itself and well. Default: false
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/steps/run.sh"

readonly metrics_port=6060

case ${PLATFORM_TYPE-} in
  gcp | aws | qemu | docker) ;;
  *) stop "PLATFORM_TYPE is \"${PLATFORM_TYPE-}\": it must be gcp, aws, qemu or docker" ;;
esac
for part in ${LEAVE_OUT-}; do
  case $part in
    microvms | firecracker | src-cli) ;;
    *) stop "LEAVE_OUT has \"$part\": it can have microvms, firecracker and src-cli" ;;
  esac
done
((EUID == 0)) || stop 'this installs packages and units: run it as root'

if [[ -n ${METRICS_CIDR-} ]]; then FIREWALL_ALLOW="${FIREWALL_ALLOW-} tcp:$metrics_port@$METRICS_CIDR"; fi

names=(
  base-packages
  git
  docker
  node-exporter
  executor
  src-cli
  microvms
  firewall
  log-shipping
  power-off
  first-boot
  clean-up
)
steps=()
for name in "${names[@]}"; do steps+=("$here/steps/$name.sh"); done
run_steps "${steps[@]}"
