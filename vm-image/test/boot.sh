# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # machine.sh and dev/image_test use and set them
# The machine image as it boots in a cloud: systemd over the root that install.sh has made, with a stand-in for the cloud, a frontend, and the
# network of loopback. Sourced by dev/image_test, after deploy/packages/test/{checks,machine,services}.sh.

readonly cloud_address=127.0.0.1:8001
readonly token_secret=gcp-or-aws-keeps-this-0123456789
readonly google_secret=projects/our-project/secrets/executor-token
readonly amazon_secret=arn:aws:secretsmanager:us-west-2:123456789012:secret:executor-token-AbCdEf
readonly amazon_parameter=arn:aws:ssm:us-west-2:123456789012:parameter/executor/token

# boot_prepare DIR PLATFORM: what the machine has besides the image.
boot_prepare() {
  local upper=$1/upper test=$1/upper/opt/test unit
  mkdir -p "$test/state" "$upper/etc/systemd/system/executor-boot.service.d" "$upper/etc/systemd/system/multi-user.target.wants"
  cp "$cloud_program" "$test/cloud"
  cp "$frontend_program" "$test/frontend"
  printf 'PLATFORM_TYPE=%s\nVERSION=test\n' "$2" >"$upper/etc/machine-image.env"
  # The engine wants control groups and a network that this machine in namespaces hasn't; timers would change it meanwhile.
  for unit in docker.service docker.socket containerd.service apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service \
    unattended-upgrades.service systemd-networkd-wait-online.service; do
    ln -s /dev/null "$upper/etc/systemd/system/$unit"
  done
  cat >"$upper/etc/systemd/system/executor-boot.service.d/test.conf" <<-CONF
	[Unit]
	After=test-cloud.service test-frontend.service
	[Service]
	Environment=METADATA_URL=http://$cloud_address SECRETS_URL=http://$cloud_address
	RestartSec=1s
	CONF
  boot_unit "$upper" test-cloud "/opt/test/cloud $cloud_address /opt/test/state"
  boot_unit "$upper" test-frontend '/opt/test/frontend serve' "Environment=FRONTEND_EXECUTOR_TOKEN=$token_secret FRONTEND_DATA_DIR=/var/lib/executor-frontend"
}

# boot_unit UPPER NAME COMMAND [LINE]
boot_unit() {
  printf '%s\n' '[Service]' "ExecStart=$3" "${4-}" '[Install]' 'WantedBy=multi-user.target' >"$1/etc/systemd/system/$2.service"
  ln -s "../$2.service" "$1/etc/systemd/system/multi-user.target.wants/$2.service"
}

# settings LINE…: what the cloud knows of the machine from now on.
settings() { printf '%s\n' "$@" >"$machine_state/settings"; }

# reconfigured: asks the cloud again, and prints what the unit said.
reconfigured() {
  local cursor code=0
  cursor=$(marked)
  # A failure is repeated by itself: the first is what counts.
  inside systemctl stop executor-boot
  inside systemctl start executor-boot >/dev/null 2>&1 || code=$?
  inside systemctl stop executor-boot
  inside journalctl --quiet --sync
  inside journalctl --quiet --no-pager --output cat --unit executor-boot --after-cursor "$cursor"
  return "$code"
}

# refused WHAT PART: the settings are, with a reason that has the part, and the token is told nobody.
refused() {
  local said
  if said=$(reconfigured); then fail "$1: the settings were taken: $said"; fi
  contains "$1" "$2" "$said"
  [[ $said != *"$token_secret"* ]] || fail "$1: the journal has the token"
  checks_passed=$((checks_passed + 1))
}

# taken WHAT
taken() {
  local said
  said=$(reconfigured) || fail "$1: $said"
  checks_passed=$((checks_passed + 1))
  printf '%s\n' "$said" >"$scratch/said"
}

common=('EXECUTOR_FRONTEND_URL=http://127.0.0.1:7080' 'EXECUTOR_QUEUE_NAME=default' 'EXECUTOR_RUNTIME=shell' 'EXECUTOR_QUEUE_POLL_INTERVAL=200ms')

boot_units() {
  local unit
  for unit in executor executor-boot machine-firewall ssh-host-keys prometheus-node-exporter; do
    same "systemd-analyze verify $unit" '' "$(inside systemd-analyze verify "$unit.service" 2>&1)"
  done
  holds 'executor-boot.service is closed' inside systemd-analyze security --no-pager --threshold=30 executor-boot.service
}

boot_machine() {
  same 'the node exporter listens on loopback only' '127.0.0.1:9100' "$(inside ss --no-header --listening --tcp --numeric | awk '$4 ~ /:9100$/ { print $4 }')"
  contains 'the node exporter tells' 'node_load1 ' "$(inside curl --silent http://127.0.0.1:9100/metrics)"
  local rules
  rules=$(inside nft list table inet machine_firewall)
  contains 'what comes in is dropped' 'hook input priority filter; policy drop;' "$rules"
  contains 'SSH comes in' 'tcp dport 22 accept' "$rules"
  contains 'metrics from the operator'\''s network' 'ip saddr 10.0.0.0/8 tcp dport 6060 accept' "$rules"
  contains 'guests do not reach metadata' 'ip daddr 169.254.0.0/16 counter' "$rules"
  holds 'the machine has its own id' inside test -s /etc/machine-id
  holds 'it has its own host keys' inside test -s /etc/ssh/ssh_host_ed25519_key
  same 'errors at boot' '' "$(inside systemctl --failed --no-legend --plain | awk '{ print $1 }')"
}

boot_google() {
  local pid id
  becomes 30 'the executor came by itself' active property executor ActiveState
  same 'mode of the settings' '600 root:root' "$(inside stat --format '%a %U:%G' /run/executor-boot/settings.env)"
  same 'the token is on no disk' '' "$(grep -rl "$token_secret" "$machine_upper" --exclude-dir=state --exclude=test-frontend.service --exclude-dir=executor-frontend || true)"
  same 'nor in the journal' 0 "$(inside journalctl --no-pager | grep -c "$token_secret" || true)"
  id=$(submit 'echo from a machine; cat /run/executor-boot/settings.env || echo no settings')
  becomes 30 'a job ends' completed job_state "$id"
  contains 'what the job can see' 'stdout: no settings' "$(job_log "$id")"

  pid=$(main_pid executor)
  taken 'the same settings again'
  same 'the executor goes on' "$pid" "$(main_pid executor)"
  settings "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD_SECRET=$google_secret" 'EXECUTOR_QUEUE_POLL_INTERVAL=100ms'
  taken 'changed settings'
  contains 'the executor restarts for them' 'the settings have changed' "$(cat "$scratch/said")"
  becomes 30 'the executor is up again' active property executor ActiveState
  [[ $(main_pid executor) != "$pid" ]] || fail 'the executor was not restarted for changed settings'

  rm "$machine_state/settings"
  refused 'no settings' 'there are no settings: the attribute executor-settings'
  settings "${common[@]}"
  refused 'no token' 'the settings lack EXECUTOR_FRONTEND_PASSWORD_SECRET'
  settings "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD=$token_secret"
  refused 'a plain token' 'has EXECUTOR_FRONTEND_PASSWORD itself'
  settings "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD_SECRET=$token_secret"
  refused 'a token in place of a reference' 'EXECUTOR_FRONTEND_PASSWORD_SECRET is not of the form projects/'
  settings "${common[@]}" "$token_secret"
  refused 'no setting' 'line 5 of the settings is not of the form NAME=value'
  settings "${common[@]}" 'LD_PRELOAD=/tmp/x.so'
  refused 'not a setting of the executor' 'LD_PRELOAD is none of'
  settings "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD_SECRET=$google_secret"
  mv "$machine_state/secret" "$machine_state/withheld"
  refused 'a secret that is refused' 'has this instance'\''s service account the role secretmanager.secretAccessor'
  mv "$machine_state/withheld" "$machine_state/secret"
  settings "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD_SECRET=$google_secret" 'EXECUTOR_RUNTIME=podman'
  refused 'an unknown runtime' 'EXECUTOR_RUNTIME is "podman"'
  same 'the executor still runs, with what it had' active "$(property executor ActiveState)"
}

# boot_end: the executor's own end powers the machine off; a stop does not, nor does the file.
boot_end() {
  local id cursor
  cursor=$(marked)
  inside systemctl stop executor
  becomes 10 'a stop is told' 1 counted "$cursor" 'the executor was stopped: the machine stays up'
  settings "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD_SECRET=$google_secret" 'EXECUTOR_NUM_TOTAL_JOBS=1'
  inside touch /etc/executor/hold
  taken 'one job only'
  becomes 30 'the executor is up' active property executor ActiveState
  id=$(submit 'echo the only one')
  becomes 30 'the job ends' completed job_state "$id"
  becomes 30 'the hold file keeps the machine up' 1 counted "$cursor" '/etc/executor/hold is there: the machine stays up'
  inside rm /etc/executor/hold
  inside systemctl start executor
  id=$(submit 'echo the last one')
  local waited
  for ((waited = 0; waited < 600; waited++)); do
    if ! kill -0 "$machine_unshare" 2>/dev/null; then
      checks_passed=$((checks_passed + 1))
      return
    fi
    sleep 0.1
  done
  fail 'the machine did not power off when its executor had ended'
}

# marked: a place in the journal, which outlives boots.
marked() {
  inside journalctl --quiet --sync
  inside journalctl --quiet --lines 0 --show-cursor | sed -n 's/^-- cursor: //p'
}

# counted CURSOR TEXT: how many lines of the executor's journal since then have it.
counted() { inside journalctl --quiet --no-pager --output cat --unit executor --after-cursor "$1" | grep -cF "$2"; }

boot_amazon() {
  becomes 30 'the executor came by itself' active property executor ActiveState
  settings '# executor settings' "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD_SECRET=$amazon_parameter" 'EXECUTOR_MAXIMUM_NUM_JOBS=2'
  taken 'a parameter of the Parameter Store'
  mv "$machine_state/secret" "$machine_state/withheld"
  refused 'a secret that is refused' 'does the role executors allow AmazonSSM:GetParameter'
  mv "$machine_state/withheld" "$machine_state/secret"
  settings '#cloud-config' 'packages: []'
  refused 'the user data of others' 'there are no settings: the user data of this instance'
  settings '# executor settings' "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD=$token_secret"
  refused 'a plain token' 'has EXECUTOR_FRONTEND_PASSWORD itself'
}

# boot_up DIR: boots, or boots again, the machine in DIR.
boot_up() {
  machine_upper=$1/upper
  machine_boot "$1"
  # As the machine sees it: what lies below an overlay isn't looked at again.
  machine_state=/proc/$machine_pid/root/opt/test/state
}

# boots: all of it.
boots() {
  local google=$scratch/google amazon=$scratch/amazon
  boot_prepare "$google" gcp
  machine_state=$google/upper/opt/test/state
  settings "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD_SECRET=$google_secret"
  printf '%s' "$token_secret" >"$machine_state/secret"
  boot_up "$google"
  boot_units
  boot_machine
  boot_google
  settings "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD_SECRET=$google_secret"
  machine_stop
  say 'the second boot of the machine'
  boot_up "$google"
  becomes 30 'the executor came by itself again' active property executor ActiveState
  boot_end
  machine_stop

  say 'a machine of Amazon'\''s'
  boot_prepare "$amazon" aws
  machine_state=$amazon/upper/opt/test/state
  settings '# executor settings' "${common[@]}" "EXECUTOR_FRONTEND_PASSWORD_SECRET=$amazon_secret"
  printf '%s' "$token_secret" >"$machine_state/secret"
  boot_up "$amazon"
  boot_amazon
  machine_stop
}
