#!/usr/bin/env bash
# What dev/bazel and the checks remove of what they keep, and what they leave: in directories made up here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source stages.sh
source packages.sh
source bazel_cache.sh
# shellcheck disable=SC2034 # nobody but root needs to be root for files of his own
root=()

scratch=$(mktemp -d)
running=()
cleanup() {
  if ((${#running[@]} > 0)); then kill "${running[@]}" 2>/dev/null || true; fi
  chmod -R u+rwx "$scratch"
  rm -rf "$scratch"
}
trap cleanup EXIT
as_root() { "$@"; }
cache=$scratch/cache
failed=0

# same WHAT WANTED GOT
same() {
  if [[ $2 == "$3" ]]; then return; fi
  printf '%s: want %s, got %s\n' "$1" "$2" "$3"
  failed=1
}
# left DIR: names of what is in it, on a line.
left() { (cd "$1" && echo *); }

# output NAME WORKSPACE: an output base, of an action that left a directory without the right to write.
output() {
  mkdir -p "$cache/output/$1"/{server,execroot/sealed/inner}
  printf '%s' "$2" >"$cache/output/$1/DO_NOT_BUILD_HERE"
  touch "$cache/output/$1/execroot/sealed/inner/file"
  chmod a-w "$cache/output/$1/execroot/sealed/inner" "$cache/output/$1/execroot/sealed"
}
# server NAME ARG: a process with this argument, which the output base has for its server. Sets pid.
server() {
  sh -c 'sleep 600 & trap "kill $!; exit" TERM; wait' "--output_base=$2" &
  pid=$!
  running+=("$pid")
  echo "$pid" >"$cache/output/$1/server/server.pid.txt"
  until grep -qz -e "--output_base=$2" "/proc/$pid/cmdline"; do :; done
}
# lives PID
lives() { if kill -0 "$1" 2>/dev/null; then echo lives; else echo ended; fi; }

mkdir -p "$scratch"/{there,"there too"}
output a-there "$scratch/there"
output b-spaces "$scratch/there too"
output c-relative gone
output d-none ''
mkdir -p "$cache/output/cache/repos"
cp -r "$cache" "$scratch/before"
same 'nothing to remove, no program started' '' "$(PATH='' outputs_forget 2>&1)"
same 'nothing is gone' 'a-there b-spaces c-relative cache d-none' "$(left "$cache/output")"

output e-gone "$scratch/no such"
output f-gone "$scratch/there/no"
mkdir "$cache/output/g-begun.gone"
server a-there "$cache/output/a-there"
stays=$pid
server e-gone "$cache/output/e-gone"
ends=$pid
# What has got the number of a server that ended long ago.
server f-gone "$cache/output/another"
other=$pid
outputs_forget 2>"$scratch/said"
same 'workspaces that are gone' 'a-there b-spaces c-relative cache d-none' "$(left "$cache/output")"
same 'what was said' 3 "$(grep -c '^removing' "$scratch/said")"
same 'its server' ended "$(lives "$ends")"
same 'the server of a workspace that is there' lives "$(lives "$stays")"
same 'a process with the number of a server' lives "$(lives "$other")"

output h-gone "$scratch/no such"
exec {lock}>"$cache/output.lock"
flock "$lock"
outputs_forget
same 'while another run removes' 'a-there b-spaces c-relative cache d-none h-gone' "$(left "$cache/output")"
exec {lock}>&-

# roots NAME…: directories, each newer than the one before.
roots() {
  local name age=$#
  rm -rf "$scratch/roots"
  for name in "$@"; do
    mkdir -p "$scratch/roots/$name/bin"
    touch -d "-$age hours" "$scratch/roots/$name"
    age=$((age - 1))
  done
}
forget() { forget_old "$scratch/roots/$1" "$scratch"/roots/root-* >"$scratch/said"; }

roots root-1
forget root-1
same 'only one' root-1 "$(left "$scratch/roots")"
roots root-3 root-1 root-2 root-4 other
forget root-4
same 'the newest two' 'other root-2 root-4' "$(left "$scratch/roots")"
same 'what was removed' 2 "$(grep -c 'removing' "$scratch/said")"
roots root-1 root-2 root-3
forget root-1
same 'an old one is used again' 'root-1 root-3' "$(left "$scratch/roots")"

# A mount that only another process sees.
if unshare --user --map-root-user --mount true 2>/dev/null; then
  roots root-1 root-2 root-3 root-4
  mkfifo "$scratch/mounted" "$scratch/enough"
  # shellcheck disable=SC2016 # for the shell there
  unshare --user --map-root-user --mount sh -c 'mount --bind "$1" "$1" && echo >"$2" && read -r _ <"$3"' sh \
    "$scratch/roots/root-1" "$scratch/mounted" "$scratch/enough" &
  read -r _ <"$scratch/mounted"
  forget root-4
  same 'one that is mounted' 'root-1 root-3 root-4' "$(left "$scratch/roots")"
  echo >"$scratch/enough"
  wait $!
  forget root-4
  same 'and no longer' 'root-3 root-4' "$(left "$scratch/roots")"
fi
exit "$failed"
