#!/usr/bin/env bash
# Stands in for docker: writes down how it was called, and remembers what the executor is called. LEFT is a container that a job left.
set -euo pipefail
echo "docker $*" >>"$CALLS"
case $1 in
  run)
    while (($# > 1)); do
      case $1 in
        --hostname) echo "$2" >"$CALLS.executor" ;;
        --env-file) sed 's/^/  /' "$2" >>"$CALLS" ;;
      esac
      shift
    done
    ;;
  ps) if [[ -n ${LEFT-} ]]; then echo "$LEFT $(<"$CALLS.executor")-uuid"; fi ;;
  logs) echo "the log of ${*: -1}" ;;
esac
