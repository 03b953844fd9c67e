# shellcheck shell=bash
# What tests say. The first check that fails ends the run. Sourced by dev/package_test.

checks_passed=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

# same WHAT WANTED GOT
same() {
  [[ $2 == "$3" ]] || fail "$1: want \"$2\", got \"$3\""
  checks_passed=$((checks_passed + 1))
}

# holds WHAT COMMAND…: the command succeeds. What it prints is shown when it doesn't.
holds() {
  local what=$1 out
  shift
  out=$("$@" 2>&1) || fail "$what: $* says: $out"
  checks_passed=$((checks_passed + 1))
}

# becomes SECONDS WHAT WANTED COMMAND…: the command prints the wanted text within that time.
becomes() {
  local limit=$((SECONDS + $1)) what=$2 wanted=$3 got
  shift 3
  until got=$("$@" 2>&1) && [[ $got == "$wanted" ]]; do
    ((SECONDS < limit)) || fail "$what: want \"$wanted\", and it is still \"$got\""
    sleep 0.1
  done
  checks_passed=$((checks_passed + 1))
}

# contains WHAT PART TEXT
contains() {
  [[ $3 == *"$2"* ]] || fail "$1: want \"$2\" in: $3"
  checks_passed=$((checks_passed + 1))
}
