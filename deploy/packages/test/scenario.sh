# shellcheck shell=bash
# The life of both packages on a machine: installed, configured, upgraded while a job runs, stuck, stopped, removed. Sourced by
# dev/package_test, which sets tests and scratch.
# shellcheck disable=SC2154 # so do the other files with machine_pid, gated and token

readonly services=(executor-frontend executor)

# scenario KIND DIR NEXT_DIR: KIND is deb or rpm; the next packages are upgraded to.
scenario() {
  local kind=$1 dir=$2 next=$3 name file
  # shellcheck source=/dev/null
  source "$tests/$kind.sh"
  # shellcheck source=deploy/packages/test/microvms.sh
  source "$tests/microvms.sh"
  for name in "${services[@]}"; do
    for file in "$(package_file "$dir" "$name")" "$(package_file "$next" "$name")"; do
      [[ -e $file ]] || fail "there is no package $file"
    done
  done
  if [[ $kind == deb ]]; then step 'deb: in an image that is made' image "$dir"; fi
  step "$kind: a machine boots" machine_boot "$scratch/$kind"
  inside mkdir /srv/packages /srv/next
  for name in "${services[@]}"; do
    cp -L "$(package_file "$dir" "$name")" "/proc/$machine_pid/root/srv/packages/"
    cp -L "$(package_file "$next" "$name")" "/proc/$machine_pid/root/srv/next/"
  done
  tree >"$scratch/$kind.before"

  step "$kind: installed" installed
  step "$kind: configured and started" running
  step "$kind: upgraded while a job runs" upgraded
  if [[ $kind == deb ]]; then
    # The same whatever the package.
    step "$kind: units" units
    step "$kind: opened for microVMs" microvms
    step "$kind: stuck" stuck
    step "$kind: stopped twice" stopped_twice
    step "$kind: removed while a job runs that does not end" removed
  else
    step "$kind: removed while a job ends" removed_in_time
  fi
  step "$kind: gone" gone "$scratch/$kind.before"
}

# image DIR: no systemd runs there. Nothing fails for want of one.
image() {
  local out name
  mkdir -p "$scratch/image/files"
  for name in "${services[@]}"; do cp -L "$(package_file "$1" "$name")" "$scratch/image/files/"; done
  # shellcheck disable=SC2016 # the shell in the image expands it
  out=$(machine_unbooted "$scratch/image" sh -euc '
    dpkg --install /srv/*.deb
    systemctl enable executor
    executor --version
    id executor executor-frontend
    dpkg --purge executor executor-frontend
  ' 2>&1) || fail "dpkg says: $out"
  contains 'an image' 'executor version ' "$out"
  [[ $out != *[Ee]rror* && $out != *[Ff]ailed* ]] || fail "dpkg says: $out"
}

step() {
  local began=$SECONDS title=$1
  shift
  say "$title"
  "$@"
  printf -- '-- ok in %ds\n' $((SECONDS - began))
}

# files NEXT: the paths, in the machine, of the packages' files.
files() {
  local name
  for name in "${services[@]}"; do package_file "/srv/$1" "$name"; echo; done
}

# quietly COMMAND…: shows what it printed when it fails.
quietly() {
  "$@" >"$scratch/last.log" 2>&1 || {
    cat "$scratch/last.log" >&2
    fail "$*"
  }
}

# tree: every path of the machine that a package could have made.
tree() {
  inside find / -xdev \( -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/rpm -o -path /var/log \
    -o -path /srv -o -path /tmp -o -path /var/tmp -o -path /root \) -prune -o -print | sort
}

# mode PATH: mode and owner.
mode() { inside stat --format '%a %U:%G' "$1"; }

installed() {
  local name
  readarray -t packages < <(files packages)
  quietly package_install "${packages[@]}"
  for name in "${services[@]}"; do
    holds "$name is as the package says" package_check "$name"
    same "mode of $name" '755 root:root' "$(mode "/usr/bin/$name")"
    same "mode of $name.service" '644 root:root' "$(mode "/usr/lib/systemd/system/$name.service")"
    same "$name is neither enabled nor started" 'disabled, inactive' "$(state "$name")"
    contains "user of $name" ":/var/lib/$name:/usr/sbin/nologin" "$(inside getent passwd "$name")"
    same "groups of $name" "$name" "$(inside id --name --groups "$name")"
    holds "$name runs" inside "/usr/bin/$name" --version
  done
  agent
  # They hold secrets.
  same 'mode of the executor'\''s settings' '600 root:root' "$(mode /etc/executor/executor.env)"
  same 'mode of the frontend'\''s settings' '600 root:root' "$(mode /etc/executor-frontend/frontend.env)"

  inside systemctl start executor >/dev/null 2>&1 && fail 'the executor started without settings'
  contains 'why it does not start' 'invalid value "" for EXECUTOR_FRONTEND_URL: no value supplied' "$(journal executor)"
  inside systemctl stop executor
}

units() {
  local name
  for name in "${services[@]}"; do
    same "systemd-analyze verify $name" '' "$(inside systemd-analyze verify "$name.service" 2>&1)"
  done
  # Exposure of 1.5 and 1.1 of 10.
  holds 'executor.service is closed' inside systemd-analyze security --no-pager --threshold=15 executor.service
  holds 'executor-frontend.service is closed' inside systemd-analyze security --no-pager --threshold=11 executor-frontend.service
}

journal() { inside journalctl --no-pager --output cat --unit "$1"; }

running() {
  local name id
  configure
  inside systemctl enable --quiet --now "${services[@]}"
  for name in "${services[@]}"; do
    same "$name is up" 'enabled, active' "$(state "$name")"
    same "capabilities of $name" '0000000000000000' "$(status "$name" CapBnd)"
    same "$name gains no privileges" 1 "$(status "$name" NoNewPrivs)"
    same "system calls of $name are filtered" 2 "$(status "$name" Seccomp)"
    same "user of $name" "$name" "$(inside ps --no-headers -o user:32 --pid "$(main_pid "$name")")"
    same "state of $name" "700 $name:$name" "$(mode "/var/lib/$name")"
  done
  same 'status of the executor' 'ready: no job runs' "$(property executor StatusText)"
  same 'status of the frontend' 'serving on http://127.0.0.1:7080' "$(property executor-frontend StatusText)"

  # A step has no more than the service: no settings, nothing of the system to write to, nobody's home, a /tmp of its own.
  id=$(submit 'cat /etc/executor/executor.env || echo no settings; touch /usr/bin/x || echo no writing; ls /root || echo no homes; touch /tmp/mine; pwd')
  becomes 30 'a job ends' completed job_state "$id"
  for name in 'no settings' 'no writing' 'no homes' '/var/lib/executor/workspaces/'; do
    contains "what a step may do" "stdout: $name" "$(job_log "$id")"
  done
  holds 'steps leave nothing in the /tmp of the host' inside test ! -e /tmp/mine
  same 'workspaces left' '' "$(inside ls /var/lib/executor/workspaces)"
}

# status UNIT FIELD: of /proc/PID/status.
status() { inside awk -v field="$2:" '$1 == field { print $2 }' "/proc/$(main_pid "$1")/status"; }

upgraded() {
  local id waiting old old_frontend began settings lines name
  settings=$(inside sha256sum /etc/executor/executor.env /etc/executor-frontend/frontend.env)
  gate_close
  id=$(submit "$gated")
  started "$id"
  old=$(main_pid executor)
  old_frontend=$(main_pid executor-frontend)

  # The frontend first: together, its restart would wait for the executor's, which comes after it.
  began=$SECONDS
  quietly package_upgrade "$(package_file /srv/next executor-frontend)"
  becomes 10 'the frontend runs the new program' /usr/bin/executor-frontend runs executor-frontend
  becomes 10 'the frontend is up' active property executor-frontend ActiveState
  [[ $(main_pid executor-frontend) != "$old_frontend" ]] || fail 'the frontend was not restarted'
  quietly package_upgrade "$(package_file /srv/next executor)"
  ((SECONDS - began < 60)) || fail "the upgrade took $((SECONDS - began))s: it waited for the job"
  for name in "${services[@]}"; do same "version of $name" 9999.0.0 "$(package_version "$name")"; done
  same 'the executor that runs the job is the old one' "$old" "$(main_pid executor)"
  same 'its program' '/usr/bin/executor (deleted)' "$(runs executor)"
  becomes 10 'the executor drains' 'draining, no new jobs are taken: 1 job runs' property executor StatusText
  same 'it is on its way out' deactivating "$(property executor ActiveState)"

  waiting=$(submit 'echo the next one')
  # The job goes on for longer than a lease lasts without heartbeats, before a new frontend.
  inside sleep $((lease + 2))
  same 'no new job is taken' queued "$(job_state "$waiting")"
  same 'the job still runs' processing "$(job_state "$id")"
  gate_open
  becomes 30 'the job ends' completed job_state "$id"
  same 'its attempts' 1 "$(attempts "$id")"
  lines=$(whole_log "$id") || fail "the log of the job has a hole: $lines"
  ((lines > 50)) || fail "the job printed only $lines lines: it did not run all the time"
  becomes 30 'the next job ends' completed job_state "$waiting"
  same 'the executor is up' 'enabled, active' "$(state executor)"
  same 'its program' /usr/bin/executor "$(runs executor)"
  [[ $(main_pid executor) != "$old" ]] || fail 'the executor was not restarted'
  same 'the settings are the operator'\''s' "$settings" "$(inside sha256sum /etc/executor/executor.env /etc/executor-frontend/frontend.env)"
}

# watched_closely: signs of life are wanted every three seconds, to be quick here.
watched_closely() {
  local name
  for name in "${services[@]}"; do
    same "the watchdog of $name" 1min "$(property "$name" WatchdogUSec)"
    inside mkdir -p "/run/systemd/system/$name.service.d"
    # shellcheck disable=SC2016
    inside sh -c 'printf "[Service]\nWatchdogSec=3s\nRestartSec=1s\n" >"$1"' sh "/run/systemd/system/$name.service.d/test.conf"
  done
  inside systemctl daemon-reload
  inside systemctl restart "${services[@]}"
}

stuck() {
  local name old id
  watched_closely
  # Longer than the watchdog waits: who works isn't killed.
  inside sleep 5
  for name in "${services[@]}"; do
    same "$name was not killed" 0 "$(property "$name" NRestarts)"
    old=$(main_pid "$name")
    inside kill -STOP "$old"
    becomes 30 "$name is started anew" 1 property "$name" NRestarts
    becomes 30 "$name is up again" active property "$name" ActiveState
    contains "why $name was killed" 'Watchdog timeout' "$(journal "$name")"
    [[ $(main_pid "$name") != "$old" ]] || fail "$name has the process id of the one that was stuck"
  done
  # One that is stuck while it drains must not hold up a restart for ever.
  gate_close
  id=$(submit "$gated")
  started "$id"
  old=$(main_pid executor)
  inside systemctl --no-block restart executor
  becomes 10 'the executor drains' 'draining, no new jobs are taken: 1 job runs' property executor StatusText
  inside kill -STOP "$old"
  becomes 60 'the executor is up again' active property executor ActiveState
  gate_open
  # Its lease has run out: the job runs once more.
  becomes 60 'the job ends' completed job_state "$id"
  same 'its attempts' 2 "$(attempts "$id")"
}

stopped_twice() {
  local id
  gate_close
  id=$(submit "$gated")
  started "$id"
  inside systemctl --no-block stop executor
  becomes 10 'the executor drains' 'draining, no new jobs are taken: 1 job runs' property executor StatusText
  inside systemctl kill --kill-who=main executor
  becomes 30 'the executor has ended' inactive property executor ActiveState
  becomes 30 'the job is not lost in silence' errored job_final "$id"
  contains 'why the job ended' 'executor is shutting down' "$(api GET "/jobs/$id")"
  gate_open
  inside systemctl start executor
}

# job_final ID: how the first attempt ended.
job_final() { api GET "/jobs/$1" | grep -o '"cause":"[a-z]*"' | head -n 1 | cut -d'"' -f4; }

removed() {
  local id began
  gate_close
  id=$(submit "$gated")
  started "$id"
  began=$SECONDS
  quietly package_remove executor
  ((SECONDS - began >= 29 && SECONDS - began < 100)) || fail "the removal took $((SECONDS - began))s, with a job that does not end by itself"
  contains 'why the job ended' 'executor is shutting down' "$(api GET "/jobs/$id")"
  all_removed
}

removed_in_time() {
  local id
  gate_close
  id=$(submit "$gated")
  started "$id"
  inside sh -c 'sleep 3; touch /srv/gate' &
  quietly package_remove executor
  wait $!
  same 'the job has ended' completed "$(job_state "$id")"
  all_removed
}

all_removed() {
  local name
  quietly package_remove executor-frontend
  for name in "${services[@]}"; do
    same "processes of $name" '' "$(inside pgrep --list-full --uid "$name" || true)"
    same "$name is unknown to systemd" not-found "$(property "$name" LoadState)"
    holds "the state of $name is kept" inside test -d "/var/lib/$name"
  done
  holds 'the settings are kept' inside grep -q "$token" "$(package_settings_after_removal executor executor.env)"
  holds 'the settings are kept' inside grep -q "$token" "$(package_settings_after_removal executor-frontend frontend.env)"
}

# gone BEFORE: after a purge nothing is left that was not there before.
gone() {
  quietly package_purge "${services[@]}"
  inside rm -rf /run/systemd/system/executor.service.d /run/systemd/system/executor-frontend.service.d
  same 'what is left' '' "$(comm -13 "$1" <(tree))"
  # As docs/install.md says, users stay.
  holds 'the user executor stays' inside getent passwd executor
}
