#!/usr/bin/env bash
# When dev/test begins and when it doesn't, on disks made up here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source stages.sh
source space.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/there" "$scratch/old-123"
failed=0

# What there is: parts, a disk that is mounted twice, whose free megabytes are $room, and another for what is below /big.
space_parts() {
  cat <<PARTS
first       1000  500 $scratch/there
second-part 2000  100 $scratch/not-there
third       4000    0 $scratch/old-*
fourth       900  800 /big/$scratch
PARTS
}
space_of() { if [[ $1 == /big/* ]]; then echo '8 900000 /big'; elif [[ $1 == */not-there ]]; then echo "7 $room /elsewhere"; else echo "7 $room /"; fi; }

# try FREE STATUS TEXT [PART…]: what space_need says has the text.
try() {
  local room=$1 status=$2 text=$3 said got=0
  shift 3
  said=$(space_need "$@" 2>&1) || got=$?
  if [[ $got != "$status" || $said != *"$text"* ]]; then
    printf 'with %s MB, parts "%s": want %s and "%s", got %s and: %s\n' "$room" "$*" "$status" "$text" "$got" "$said"
    failed=1
  fi
}

try 2500 0 '2.5 GB are free in /, this run needs 2.5'
try 2500 0 '900.0 GB are free in /big, this run needs 0.9'
try 2499 0 'that may be too little'
try 1832 1 'too little is free in / for this run, which needs in GB: first 0.5, second part 2.0, third 0.0.'
try 499 1 'this run needs 0.5' first
try 500 0 'this run needs 0.5' first
try 1832 1 'this run needs 2.5' first second-part
try 0 0 'this run needs 0.9' fourth
rmdir "$scratch/old-123"
try 4498 1 'third 4.0'
try 6500 0 'this run needs 6.5'

# The real ones, on this machine.
unset -f space_parts space_of
source space.sh
read -r disk free mount <<<"$(space_of "$scratch/no/such/directory")"
if [[ $scratch != "${mount%/}"/* || ! $disk$free =~ ^[0-9]+$ ]]; then
  printf 'the disk of %s: got %s with %s MB\n' "$scratch" "$mount" "$free"
  failed=1
fi
exit "$failed"
