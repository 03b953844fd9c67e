#!/bin/sh
# Writes an image's labels: the ones that stand in its BUILD file and, when stamped, version and time.
#
#   image_labels.sh OUT STATIC [STATUS…]   STATUS: files of "KEY value" lines that Bazel makes of dev/stamp_vars.sh
set -eu
out=$1
cat "$2" >"$out"
shift 2
[ $# -gt 0 ] || exit 0
value() { cat "$@" | sed -n "s/^$key //p"; }
key=STABLE_VERSION
version=$(value "$@")
key=STABLE_COMMIT
commit=$(value "$@")
key=VERSION_TIMESTAMP
time=$(value "$@")
[ -z "$version" ] || echo "org.opencontainers.image.version=$version" >>"$out"
[ -z "$commit" ] || echo "org.opencontainers.image.revision=$commit" >>"$out"
[ -z "$time" ] || echo "org.opencontainers.image.created=$(date -u -d "@$time" +%Y-%m-%dT%H:%M:%SZ)" >>"$out"
