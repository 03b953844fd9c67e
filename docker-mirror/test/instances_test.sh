#!/usr/bin/env bash
# Tries first-boot/registry-mirror-instances out, with a systemctl that only notes what it is asked.
#
#   instances_test.sh REGISTRY_MIRROR   the program
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
ln -s "$program" "$work/bin/registry-mirror"
cat >"$work/bin/systemctl" <<SH
#!/bin/sh
if [ "\$1" = list-units ]; then cat "$work/loaded"; exit; fi
echo "\$@" >>"$work/asked"
SH
chmod +x "$work/bin/systemctl"
failures=0

# try LOADED LIST: runs the program; sets status, said and asked.
try() {
  printf '%s' "$1" >"$work/loaded"
  printf '%s' "$2" >"$work/list"
  : >"$work/asked"
  status=0
  said=$(PATH=$work/bin:$PATH UPSTREAMS=$work/list FW_CFG=$work/given first-boot/registry-mirror-instances 2>&1) || status=$?
  asked=$(paste -sd ';' "$work/asked")
}

# expect WHAT STATUS ASKED TEXT
expect() {
  if [[ $status == "$2" && $asked == "$3" && $said == *"$4"* ]]; then
    printf 'ok    %s\n' "$1"
  else
    printf 'FAIL  %s: status %s, asked "%s", said "%s"\n' "$1" "$status" "$asked" "$said"
    failures=$((failures + 1))
  fi
}

try '' "$(cat first-boot/upstreams)"
expect 'the list of the image' 0 'restart --no-block registry-mirror@docker-io.service' 'mirrors: docker-io'
try '' $'hub https://registry-1.docker.io\nghcr https://ghcr.io # a comment\n'
expect 'two' 0 'restart --no-block registry-mirror@hub.service;restart --no-block registry-mirror@ghcr.service' 'mirrors: hub ghcr'
try $'registry-mirror@hub.service loaded active running Mirror\nregistry-mirror@ghcr.service loaded failed failed Mirror\n' 'hub https://registry-1.docker.io'
expect 'one is listed no more' 0 'stop registry-mirror@ghcr.service;restart --no-block registry-mirror@hub.service' 'stopped the mirror ghcr'
for wrong in '' 'hub' 'hub ftp://x' $'hub https://a.example\nhub https://b.example' '../x https://a.example' 'hub https://user:secret@a.example' 'hub https://a.example speed=fast'; do
  try $'registry-mirror@hub.service loaded active running Mirror\n' "$wrong"
  expect "wrong: ${wrong@Q}" 1 '' "$work/list"
  if [[ $said == *secret* ]]; then echo 'FAIL  a password is told' && failures=$((failures + 1)); fi
done
echo 'given https://given.example' >"$work/given"
try '' 'hub https://registry-1.docker.io'
expect 'a list that the virtual machine is given' 0 'restart --no-block registry-mirror@given.service' 'mirrors: given'

((failures == 0)) || exit 1
