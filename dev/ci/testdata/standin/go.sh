#!/usr/bin/env bash
# Stands in for `go build -o FILE PACKAGE`: what it builds is the stand-in for execctl.
set -euo pipefail
echo "go $*" >>"$CALLS"
cp "$(dirname "$0")/execctl" "$3"
