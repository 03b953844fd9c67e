#!/usr/bin/env bash
# Stands in for execctl at a frontend whose jobs do as they are told. LEAK shows the secret, IMMORTAL jobs never fail.
set -euo pipefail
[[ -n $EXECCTL_TOKEN ]]
case $1 in
  executors) cat "$CALLS.executor" ;;
  logs) echo waiting ;;
  show) echo '{"state": "canceled"}' ;;
  submit)
    cat "$2" >>"$CALLS"
    if grep -q 'sleep' "$2"; then
      echo 'job 3 is queued in queue default'
    elif grep -q 'exit 3' "$2" && [[ -z ${IMMORTAL-} ]]; then
      echo 'job failed: exit code 3'
      exit 1
    else
      printf 'Hello from a repository\ntoken: %s\n' "${LEAK:+$E2E_SECRET}"
    fi
    ;;
esac
