#!/usr/bin/env bash
# Runs install.sh twice: the second run makes no change, by its own count and by a digest of the whole file system.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# digest: a line for each path, with type, mode, owner and content. Left out is what isn't the image's: kernel file systems, files that the
# Docker engine mounts, and /tmp; and logs, which tell of each run.
digest() {
  local skip=(-path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log -o -path /etc/hosts -o -path /etc/hostname
    -o -path /etc/resolv.conf -o -path /.dockerenv)
  {
    find / -xdev \( "${skip[@]}" \) -prune -o -printf '%p %y %m %U:%G %l\n'
    find / -xdev \( "${skip[@]}" \) -prune -o -type f -exec sha256sum {} +
  } | sort
}

bash install.sh | tee /tmp/first.log
digest >/tmp/first
bash install.sh | tee /tmp/second.log
digest >/tmp/second

grep -Eq '^== done in [0-9]+s: [0-9]+ steps, [1-9][0-9]* changes$' /tmp/first.log || { echo 'the first run made no change' >&2; exit 1; }
grep -Eq '^== done in [0-9]+s: [0-9]+ steps, 0 changes$' /tmp/second.log || { echo 'the second run says that it made changes' >&2; exit 1; }
if ! diff /tmp/first /tmp/second >&2; then
  echo 'the second run changed the file system' >&2
  exit 1
fi
printf 'the second run changed none of %d paths\n' "$(grep -c '^/' /tmp/second)"
rm /tmp/first /tmp/second /tmp/first.log /tmp/second.log
