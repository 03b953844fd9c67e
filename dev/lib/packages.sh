# shellcheck shell=bash
# Debian packages that the checks need.

apt_fresh=false

# What stands before a command that needs root; empty for root itself.
root=()
((EUID == 0)) || root=(sudo)

# as_root COMMAND…: runs it as root.
as_root() {
  if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    printf 'this needs root, and there is no sudo: %s\n' "$*" >&2
    return 1
  fi
  "${root[@]}" "$@"
}

# need PROGRAM PACKAGE…: installs the packages unless the program is there.
need() {
  local program=$1
  shift
  command -v "$program" >/dev/null && return
  command -v apt-get >/dev/null || {
    printf '%s is missing and this is no Debian: install it by hand (Debian calls it %s)\n' "$program" "$*" >&2
    exit 1
  }
  say "installing from Debian, because $program is missing: $*"
  if ! $apt_fresh; then
    as_root apt-get update -qq
    apt_fresh=true
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  hash -r
}
