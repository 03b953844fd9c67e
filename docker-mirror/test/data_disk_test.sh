#!/usr/bin/env bash
# Tries first-boot/registry-data-disk out on loop devices. Needs root; looks at no other disk.
# shellcheck disable=SC2154 # disk sets variables of the names it is given
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
((EUID == 0)) || { echo 'loop devices need root' >&2; exit 1; }

work=$(mktemp -d)
loops=()
end() {
  local loop
  for loop in "${loops[@]}"; do losetup --detach "$loop" || true; done
  rm -rf "$work"
}
trap end EXIT
failures=0

# disk NAME: sets NAME to the path of a new loop device of 1 GiB.
disk() {
  truncate --size 1G "$work/$1"
  local -n path=$1
  path=$(losetup --find --show "$work/$1")
  loops+=("$path")
}

# try DISK…: runs the program with only these disks there; sets status and said.
try() {
  status=0
  said=$(env PATIENCE=0 DISK_TYPE=loop DISKS_ONLY="${*:-none}" CHOICE="$work/choice" GOOGLE_DISK="$work/google" first-boot/registry-data-disk 2>&1) || status=$?
}

# expect WHAT STATUS TEXT: of the last try.
expect() {
  if [[ $status == "$2" && $said == *"$3"* ]]; then
    printf 'ok    %s\n' "$1"
  else
    printf 'FAIL  %s: want status %s and "%s", have %s and "%s"\n' "$1" "$2" "$3" "$status" "$said"
    failures=$((failures + 1))
  fi
}

# same WHAT FILE SUM: the disk is untouched.
same() {
  if [[ $(sha256sum <"$work/$2") == "$3" ]]; then printf 'ok    %s is untouched\n' "$1"; else
    printf 'FAIL  %s was changed\n' "$1"
    failures=$((failures + 1))
  fi
}

# refused WHAT DISK TEXT: it is not formatted, neither found nor named.
refused() {
  local sum
  sum=$(sha256sum <"$work/$2")
  try "${!2}"
  expect "$1 is not taken" 2 "$3"
  printf '%s\n' "${!2}" >"$work/choice"
  try "${!2}"
  expect "$1 is not taken when it is named" 1 "$3"
  rm "$work/choice"
  same "$1" "$2" "$sum"
}

try
expect 'no disk' 2 'there is no disk with the label registry-mirror'

disk blank
try "$blank"
expect 'a blank disk is formatted' 0 "formatted $blank"
[[ $(blkid --probe --match-tag TYPE --output value "$blank") == ext4 ]]
mkdir "$work/mount"
mount "$blank" "$work/mount"
echo cached >"$work/mount/file"
umount "$work/mount"
sum=$(sha256sum <"$work/blank")
try "$blank"
expect 'a second boot takes it' 0 "$blank has the label"
same 'what is cached' blank "$sum"
disk another
try "$blank" "$another"
expect 'a second boot with another blank disk takes the labelled one' 0 "$blank has the label"
disk twin
mkfs.ext4 -q -L registry-mirror "$twin"
try "$blank" "$twin"
expect 'two with the label' 1 'all have the label'

disk one
disk two
try "$one" "$two"
expect 'two blank ones' 1 'are all blank'
printf '%s\n' "$two" >"$work/choice"
try "$one" "$two"
expect 'the one that is named' 0 "formatted $two"
printf '/dev/not-yet-here\n' >"$work/choice"
try "$one"
expect 'a named one that is not here' 2 'is no disk here'
printf 'sdb\n' >"$work/choice"
try "$one"
expect 'a name that is no path' 1 'want the path of a disk'
rm "$work/choice"
ln -s "$one" "$work/google"
disk three
try "$one" "$three"
expect "Google's device name" 0 "formatted $one"
rm "$work/google"

disk foreign
mkfs.ext4 -q -L precious "$foreign"
refused 'a foreign file system' foreign 'signature of ext4'
disk swap
mkswap "$swap" >/dev/null
refused 'swap' swap 'signature of swap'
disk table
# A table of partitions of a PC with one partition: 55 aa at the end, type 83 from sector 2048.
printf '\x00\x00\x02\x00\x83\x00\x00\x00\x00\x08\x00\x00\x00\x00\x10\x00' | dd of="$table" bs=1 seek=446 conv=notrunc status=none
printf '\x55\xaa' | dd of="$table" bs=1 seek=510 conv=notrunc status=none
refused 'a table of partitions' table 'signature of dos'
disk raw
printf 'a database without a file system' | dd of="$raw" bs=1 seek=5000 conv=notrunc status=none
refused 'data at the beginning' raw 'holds data'
disk tail
printf 'a header at the end' | dd of="$tail" bs=1 seek=$(((1 << 30) - 600)) conv=notrunc status=none
refused 'data at the end' tail 'holds data'
truncate --size 100M "$work/small"
small=$(losetup --find --show "$work/small")
loops+=("$small")
refused 'a small disk' small 'smaller than 1 GiB'
truncate --size 1G "$work/readonly"
readonly=$(losetup --find --show --read-only "$work/readonly")
loops+=("$readonly")
refused 'a read-only disk' readonly 'read-only'

((failures == 0)) || exit 1
