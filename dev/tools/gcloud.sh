#!/usr/bin/env bash
# gcloud of this machine. The SDK is hundreds of megabytes that its updater changes, and nobody publishes a checksum of it that could be pinned.
set -euo pipefail

if command -v gcloud >/dev/null; then exec gcloud "$@"; fi
echo 'gcloud is not on PATH: install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install)' >&2
exit 127
