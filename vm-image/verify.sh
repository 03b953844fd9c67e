#!/usr/bin/env bash
# Tries a machine of the image out, as root, before the image is published: its units, what the executor finds of what jobs need, and a command
# in a microVM and in a container. It leaves the machine changed, so it is for a machine that is thrown away.
set -euo pipefail
shopt -s inherit_errexit

readonly machine_dir=/usr/lib/machine-image
readonly service=executor.service

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

units() {
  local unit
  for unit in machine-firewall docker prometheus-node-exporter; do
    systemctl --quiet is-active "$unit" || fail "$unit does not run: $(systemctl status --no-pager --lines 20 "$unit" 2>&1 || true)"
  done
  systemd-analyze verify "$service" executor-boot.service machine-firewall.service || fail 'a unit is wrong'
  nft list table inet machine_firewall >/dev/null || fail 'there is no firewall'
  curl --silent --show-error --fail --max-time 30 http://127.0.0.1:9100/metrics | grep -q '^node_load1 ' || fail 'the node exporter tells nothing'
  # Secrets of the machine that the image was made on would be everybody's.
  [[ $(systemctl is-enabled "$service" 2>/dev/null || true) != enabled ]] || fail 'the executor is enabled: it would start without settings'
}

# frontend: one that takes any token, since validate asks. Python is there: the unattended upgrades are written in it.
frontend() {
  python3 -c '
import http.server

class Frontend(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")
    do_POST = do_GET

http.server.ThreadingHTTPServer(("127.0.0.1", 5997), Frontend).serve_forever()' 2>/dev/null &
  frontend=$!
  trap 'kill "$frontend"' EXIT
  local waited
  for ((waited = 0; waited < 60; waited++)); do
    if curl --silent --fail --max-time 5 http://127.0.0.1:5997/ >/dev/null; then return; fi
    sleep 1
  done
  fail 'the frontend of this check does not answer'
}

# configured RUNTIME COMMAND…: runs it with settings as the service has them.
configured() {
  local runtime=$1
  shift
  env EXECUTOR_FRONTEND_URL=http://127.0.0.1:5997 EXECUTOR_FRONTEND_PASSWORD=none EXECUTOR_QUEUE_NAME=verify EXECUTOR_RUNTIME="$runtime" \
    EXECUTOR_VM_DIR=/var/lib/executor/vm EXECUTOR_FIRECRACKER_IMAGE="oci:$machine_dir/executor-vm" EXECUTOR_JOB_NUM_CPUS=1 EXECUTOR_JOB_MEMORY=1G \
    EXECUTOR_FIRECRACKER_DISK_SPACE=2G SRC_LOG_FORMAT=console "$@"
}

container() {
  # The machine's own shell, as an image: no registry is needed.
  local libraries
  mapfile -t libraries < <(ldd /bin/sh | grep -o '/[^ ]*')
  tar --create --dereference /bin/sh "${libraries[@]}" 2>/dev/null | docker import - machine-image-verify:shell >/dev/null
  [[ $(docker run --rm --network none machine-image-verify:shell /bin/sh -c 'echo in a container') == 'in a container' ]] ||
    fail 'no command runs in a container'
  configured docker executor validate || fail 'executor validate is not content with containers'
}

microvm() {
  configured firecracker executor validate || fail 'executor validate is not content with microVMs'
  # Which is slow without KVM, as on most of the clouds' machines.
  local said
  said=$(configured firecracker timeout 600 executor test-vm --shell <<<'echo in a $(uname -s) microVM') || fail "no microVM runs: $said"
  [[ $said == *'in a Linux microVM'* ]] || fail "a microVM says: $said"
}

units
frontend
container
if grep -q '^EXECUTOR_RUNTIME=firecracker$' "$machine_dir/runtime.env"; then microvm; fi
echo "the executor's image works: $(tr '\n' ' ' </etc/machine-image.env)"
