#!/usr/bin/env bash
# Versions of releases, pre-releases, dated and development builds as the packages have them.
set -euo pipefail

version=$(dirname "${BASH_SOURCE[0]}")/version.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# check WANTED GOT WHAT
check() {
  if [[ $1 != "$2" ]]; then
    printf '%s: want %s, got %s\n' "$3" "$1" "$2"
    failed=1
  fi
}

while read -r stamped wanted; do
  printf 'BUILD_USER nobody\nSTABLE_VERSION %s\nSTABLE_VERSION_TIMESTAMP 1\n' "$stamped" >"$scratch/status"
  check "$wanted" "$("$version" "$scratch/status")" "STABLE_VERSION $stamped"
done <<'TABLE'
1.2.3                           1.2.3
v5.2.0                          5.2.0
5.2.0-rc.1                      5.2.0~rc.1
5.2.0-rc.1-2+build.7            5.2.0~rc.1.2+build.7
5.2.0-14-g0123abc456de          5.2.0+14.g0123abc456de
5.2.0-14-g0123abc456de-dirty    5.2.0+14.g0123abc456de.dirty
5.2.0-rc.1-14-g0123abc456de     5.2.0~rc.1+14.g0123abc456de
5.2.0-dirty                     5.2.0+dirty
0.0.0+dev                       0.0.0~dev
168065_2022-08-25_0123abc       168065.2022.08.25.0123abc
5.2.x_247561_2023-09-27_0123abc 5.2.x.247561.2023.09.27.0123abc
main_2024-02-29_5.2-0123abc     0~main.2024.02.29.5.2.0123abc
TABLE

: >"$scratch/empty"
check 0.0.0~dev "$("$version")" 'no file'
check 0.0.0~dev "$("$version" "$scratch/missing")" 'a file that is not there'
check 0.0.0~dev "$("$version" "$scratch/empty")" 'no STABLE_VERSION'
exit $failed
