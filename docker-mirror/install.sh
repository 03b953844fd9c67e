#!/usr/bin/env bash
# Makes the machine that it runs on into one that mirrors registries: Packer runs it, as root, on the machine that the image is made of. It can
# be run again, and then changes only what differs. The steps are in steps/, in the order below; those that the executor's image has too are
# from vm-image/steps. The program is files/registry-mirror.
#
# Options, from the environment:
#
#   PLATFORM_TYPE  gcp, aws, qemu or docker: where the machine will run. Required.
#   CLIENT_CIDRS   the networks that may pull and read the metrics, words. Default: the private ones of IPv4
#   LOG_SHIPPING   true: the journal goes to the cloud (gcp, aws). Default: false
#   LOG_GROUP      CloudWatch's log group. Default: executors_docker_mirror
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# In the repository the shared steps are another image's; where Packer works they lie beside our own.
shared=$here/steps
if [[ ! -f $shared/run.sh ]]; then shared=$here/../vm-image/steps; fi
FILES=${FILES:-$here/files}
# shellcheck source=vm-image/steps/run.sh
source "$shared/run.sh"

case ${PLATFORM_TYPE-} in
  gcp | aws | qemu | docker) ;;
  *) stop "PLATFORM_TYPE is \"${PLATFORM_TYPE-}\": it must be gcp, aws, qemu or docker" ;;
esac
((EUID == 0)) || stop 'this installs packages and units: run it as root'

: "${CLIENT_CIDRS=10.0.0.0/8 172.16.0.0/12 192.168.0.0/16}"
export LOG_GROUP=${LOG_GROUP:-executors_docker_mirror}

run_steps \
  "$shared/base-packages.sh" \
  "$shared/node-exporter.sh" \
  "$here/steps/data-disk.sh" \
  "$here/steps/registry-mirror.sh" \
  "$here/steps/exporter-exporter.sh" \
  "$shared/firewall.sh" \
  "$here/steps/clients.sh" \
  "$shared/log-shipping.sh" \
  "$shared/clean-up.sh"
