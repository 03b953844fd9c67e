# shellcheck shell=bash
# Where a cluster keeps what it has, and how its scripts wait and complain. Sourced by dev/cluster.

# cluster_fail SENTENCE: ends the command.
cluster_fail() {
  printf 'dev/cluster: %s\n' "$*" >&2
  exit 1
}

# state_open DIR: chooses the directory of a cluster. It must be empty, not there, or one of ours: "down" removes what is in it.
state_open() {
  dir=$(realpath -m -- "$1")
  [[ $dir =~ ^(/[A-Za-z0-9._-]+)+$ ]] ||
    cluster_fail "\"$dir\" stands in configuration files as it is: want an absolute path of letters, digits, and . _ - only"
  [[ ! -e $dir || -e $dir/cluster || -z $(ls -A -- "$dir" 2>/dev/null) ]] || cluster_fail "$dir holds something else: give an empty directory"
}

# state_make: the directory, without anything of a cluster before. Keys and volumes are in it: nobody else may look.
state_make() {
  (umask 077 && mkdir -p "$dir" && : >"$dir/cluster")
  chmod 0700 "$dir"
  rm -rf -- "$dir/log"
  mkdir -p "$dir"/{keys,conf,log,volumes,nodes}
}

# state_clear: removes all but the logs.
state_clear() { rm -rf -- "$dir"/{keys,conf,volumes,nodes,etcd,admin.kubeconfig,environment}; }

# state_lock: one command at a time changes a cluster. Descriptor 9 is the lock; what is started here and lives on must not inherit it.
state_lock() {
  (umask 077 && mkdir -p "$dir" && : >>"$dir/cluster")
  exec 9>>"$dir/cluster"
  flock --wait 120 9 || cluster_fail "another dev/cluster has been at work in $dir for two minutes"
}

# milliseconds: of a clock that only differences are taken of.
milliseconds() { printf '%s\n' "$((${EPOCHREALTIME/[.,]/} / 1000))"; }

# timed TITLE COMMAND…: runs it, and prints how long that took. It must not stand in a condition: set -e holds within.
timed() {
  local title=$1 began
  shift
  began=$(milliseconds)
  "$@"
  timed_since "$began" "$title"
}

# timed_since MILLISECONDS TITLE
timed_since() {
  local took=$(($(milliseconds) - $1))
  printf '%4d.%03ds  %s\n' $((took / 1000)) $((took % 1000)) "$2"
}

# wait_for SECONDS WHAT LOG COMMAND…: until the command succeeds. When the time is over, or the function $still fails meanwhile, it says so with the
# end of the log, and returns 1.
still=true
wait_for() {
  local limit=$1 what=$2 log=$3 end why=''
  shift 3
  end=$(($(milliseconds) + limit * 1000))
  until "$@" >/dev/null 2>&1; do
    if ! $still; then
      why='it has ended'
    elif (($(milliseconds) > end)); then
      why="${limit}s are over"
    fi
    if [[ -n $why ]]; then
      printf 'dev/cluster: waited for %s, but %s' "$what" "$why" >&2
      if [[ -s $log ]]; then printf '; the end of %s:\n%s' "$log" "$(tail -n 15 -- "$log" | cut -c1-400)" >&2; fi
      printf '\n' >&2
      return 1
    fi
    sleep 0.1
  done
}
