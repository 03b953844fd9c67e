#!/usr/bin/env bash
# Packer of this machine, not cracklib's program of the same name.
set -euo pipefail

for packer in $(type -ap packer); do
  # The other one reads words from standard input and answers nothing of the kind.
  if [[ $("$packer" version 2>/dev/null </dev/null) == *'Packer v'* ]]; then exec "$packer" "$@"; fi
done
echo 'packer is not on PATH: install HashiCorp Packer (https://developer.hashicorp.com/packer/install; Debian 12: apt-get install packer)' >&2
exit 127
