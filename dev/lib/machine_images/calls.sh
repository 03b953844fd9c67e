# shellcheck shell=bash
# Calls of gcloud and aws: each has a deadline, those that only read are tried again, and none is believed that doesn't answer as it should.
# Whoever sources this sets scratch, a directory of this run's.
# shellcheck disable=SC2154

calls_running=''

calls_settings() {
  calls_limit=$(images_seconds EXECUTOR_CLOUD_TIMEOUT 120) || exit 1
  calls_pause=$(images_seconds EXECUTOR_CLOUD_PAUSE 5) || exit 1
  calls_tries=$(images_number EXECUTOR_CLOUD_TRIES 4) || exit 1
  # Nobody is there to answer a question, or to turn a page.
  export CLOUDSDK_CORE_DISABLE_PROMPTS=1 AWS_PAGER=''
}

# calls_stop: ends a call that an interrupted run would leave behind.
calls_stop() {
  if [[ -z $calls_running ]]; then return 0; fi # in a trap, a mere "return" is the status of the end
  kill "$calls_running" 2>/dev/null || true
  wait "$calls_running" 2>/dev/null || true
  calls_running=''
}

# calls_run COMMAND…: runs it, with what it prints in files. A shell that waits for a command in the background heeds signals meanwhile.
calls_run() {
  local status=0
  timeout --kill-after=10 "$calls_limit" "$@" >"$scratch/answer" 2>"$scratch/errors" </dev/null &
  calls_running=$!
  wait "$calls_running" || status=$?
  calls_running=''
  case $status in
    0) ;;
    124 | 137) why="it did not answer within $calls_limit s" ;;
    *) why="it ended with $status: $(head -c 2000 "$scratch/errors")" ;;
  esac
  return "$status"
}

# calls_read WHAT FILTER COMMAND…: sets answer, what the jq filter makes of the JSON that the command prints. Ends when no try brings an answer
# of which the filter makes something: its error says what is wrong with it.
calls_read() {
  local what=$1 filter=$2 try why='' pause=$calls_pause
  shift 2
  for ((try = 1; try <= calls_tries; try++)); do
    if ((try > 1)); then
      images_say "$what: try $try of $calls_tries, since $why"
      sleep "$pause"
      pause=$(awk "BEGIN { print 2 * $pause }")
    fi
    if calls_run "$@"; then
      if answer=$(jq -e -r "$filter" "$scratch/answer" 2>"$scratch/errors") && [[ -n $answer ]]; then return; fi
      why="its answer is not as expected: $(head -c 300 "$scratch/errors"), in: $(head -c 300 "$scratch/answer")"
    fi
  done
  images_fail "$what: $why"
}

# calls_change WHAT COMMAND…: runs what changes something, once, or prints it. Ends when it fails: the next run looks what came of it.
calls_change() {
  local what=$1 why=''
  shift
  if $images_dry_run; then
    images_print "$@"
    return
  fi
  calls_run "$@" || images_fail "$what: $why"
}
