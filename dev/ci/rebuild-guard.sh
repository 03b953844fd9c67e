#!/usr/bin/env bash
# Ends a step of CI that would build what was built before.
#
#   dev/ci/rebuild-guard.sh CHECK [ARG…]
#
# The check exits with 0 when something changed and with 1 when nothing did; any other end, the check's own absence included, says nothing,
# and counts as a change. Exits with 222 when nothing changed, which the step takes for no failure, and with 0 otherwise.
set -euo pipefail

if (($# == 0)); then
  sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi

code=0
"$@" || code=$?
case $code in
  0) ;;
  1)
    echo "nothing changed, says $1: this step has nothing to do"
    exit 222
    ;;
  *) echo "$1 ended with $code, so what changed is not known: this step goes on as if something did" >&2 ;;
esac
