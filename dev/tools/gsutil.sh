#!/usr/bin/env bash
# gsutil of this machine: the one on PATH, else the one that comes with the gcloud on PATH. Google publishes no file of it that could be pinned
# without the whole SDK.
set -euo pipefail

if command -v gsutil >/dev/null; then exec gsutil "$@"; fi
if command -v gcloud >/dev/null; then
  sdk=$(gcloud info --format='value(installation.sdk_root)')
  if [[ -x $sdk/bin/gsutil ]]; then exec "$sdk/bin/gsutil" "$@"; fi
fi
echo 'neither gsutil nor a gcloud that has it is on PATH: install the Google Cloud CLI' >&2
exit 127
