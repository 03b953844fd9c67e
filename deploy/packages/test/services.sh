# shellcheck shell=bash
# Frontend, executor and jobs in the machine, as an operator and a client handle them. Sourced by dev/package_test.

readonly token=package-test-token-0123456789

# How long, in seconds, the frontend waits for a heartbeat: shorter than by default, to be quick.
readonly lease=8

# configure: what docs/install.md has an operator do, with the runtime that needs no Docker engine.
configure() {
  # shellcheck disable=SC2016 # the machine's shell expands it
  inside sh -euc '
    printf "%s\n" "FRONTEND_EXECUTOR_TOKEN=$1" "FRONTEND_LEASE_TIMEOUT=$2s" >>/etc/executor-frontend/frontend.env
    sed -i "/^EXECUTOR_RUNTIME=/d" /etc/executor/executor.env
    printf "%s\n" EXECUTOR_FRONTEND_URL=http://127.0.0.1:7080 "EXECUTOR_FRONTEND_PASSWORD=$1" EXECUTOR_QUEUE_NAME=default \
      EXECUTOR_RUNTIME=shell EXECUTOR_QUEUE_POLL_INTERVAL=200ms >>/etc/executor/executor.env
  ' sh "$token" "$lease"
}

# property UNIT NAME: one of systemd's properties of a unit.
property() { inside systemctl show --value --property "$2" "$1.service"; }

main_pid() { property "$1" MainPID; }

# runs UNIT: the program that its process runs; "(deleted)" at the end when the file has been replaced since.
runs() { inside readlink "/proc/$(main_pid "$1")/exe"; }

# state UNIT: whether it is enabled and active.
state() { printf '%s, %s' "$(inside systemctl is-enabled "$1" 2>/dev/null)" "$(inside systemctl is-active "$1")"; }

# api METHOD PATH [BODY]: asks the jobs API.
api() {
  # The token comes by a file that curl reads; the frontend made it at its first start.
  # shellcheck disable=SC2016
  inside sh -euc '
    header="header = \"Authorization: Bearer $(cat /var/lib/executor-frontend/api-token)\""
    printf "%s\n" "$header" | curl --silent --show-error --fail-with-body --max-time 20 --config - --request "$1" \
      --header "Content-Type: application/json" ${3:+--data "$3"} "http://127.0.0.1:7080/api/v1$2"
  ' sh "$@"
}

# submit SCRIPT: prints the new job's id.
submit() {
  api POST /jobs "{\"queue\": \"default\", \"steps\": [{\"key\": \"only\", \"image\": \"none\", \"run\": \"$1\"}]}" |
    sed -n 's/^{"id":\([0-9]*\),.*/\1/p'
}

# job_state ID: the first state in the answer is that of the job; those of its attempts follow.
job_state() { api GET "/jobs/$1" | grep -o '"state":"[a-z]*"' | head -n 1 | cut -d'"' -f4; }

attempts() { api GET "/jobs/$1" | grep -o '"number":[0-9]*' | sort -u | wc -l; }

job_log() { api GET "/jobs/$1/logs"; }

# shellcheck disable=SC2034 # scenario.sh submits it
# gated: a step that prints numbered lines until the gate is opened, then the last number.
readonly gated='i=0; until [ -e /srv/gate ]; do i=$((i+1)); echo line $i; sleep 0.1; done; echo end $i'

gate_open() { inside touch /srv/gate; }
gate_close() { inside rm -f /srv/gate; }

# whole_log ID: the log of a gated job has every line once, in order, and the end. Prints how many.
whole_log() {
  job_log "$1" | awk '
    sub(/^stdout: line /, "") { if ($0 != ++n) { print "line " $0 " where " n " belongs"; exit 1 } }
    sub(/^stdout: end /, "") { end = $0 }
    END { if (end == "" || end != n) { print n " lines, end \"" end "\""; exit 1 } print n }
  '
}

# started ID: waits until the job has printed something.
started() {
  # shellcheck disable=SC2317 # called by becomes
  first_line() { job_log "$1" | grep -c '^stdout: line 1$'; }
  becomes 30 "job $1 has started" 1 first_line "$1"
}
