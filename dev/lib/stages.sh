# shellcheck shell=bash
# Stages of dev/test: each runs to its end, and the run fails when one of them did.

stages_passed=0
stages_failed=()

say() { printf '\n== %s\n' "$*"; }

# stage TITLE COMMAND [ARG…]: runs the command and prints what it printed, with the time it took.
stage() {
  local title=$1 began=$SECONDS
  shift
  say "$title"
  if "$@"; then
    stages_passed=$((stages_passed + 1))
    printf -- '-- ok in %ds: %s\n' $((SECONDS - began)) "$title"
  else
    stages_failed+=("$title")
    printf -- '-- FAILED in %ds: %s\n' $((SECONDS - began)) "$title"
  fi
}

# finish: ends the run with the sum of all stages.
finish() {
  say "all stages in ${SECONDS}s"
  local title
  for title in "${stages_failed[@]}"; do printf 'failed: %s\n' "$title"; done
  printf '%d passed, %d failed\n' "$stages_passed" "${#stages_failed[@]}"
  exit $((${#stages_failed[@]} > 0))
}
