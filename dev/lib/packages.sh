# shellcheck shell=bash
# Debian packages that the checks need, and which of what was made of them is kept.

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

# forget_old KEEP DIR…: of directories that were made once, by what goes into them, removes all but the one that is kept now, the newest other
# one, and those that a process has mounted. The newest other one stays so that changing between two branches doesn't make both each time.
forget_old() {
  local keep=$1 dir dirs spared=
  shift
  mapfile -t dirs < <(ls -dt -- "$@" 2>/dev/null)
  for dir in "${dirs[@]}"; do
    [[ ! $dir -ef $keep ]] || continue
    if [[ -z $spared ]]; then
      spared=$dir
      continue
    fi
    # Some mounts show only in namespaces of their processes; a line names the directory that is bound, or a layer of an overlay.
    # shellcheck disable=SC2016 # for the shell there
    if as_root sh -c 'grep -qsF -- "/$1" /proc/[0-9]*/mountinfo' sh "${dir##*/}"; then continue; fi
    say "removing $dir: $keep is used now"
    as_root rm -rf --one-file-system -- "$dir" || say "not all of $dir could be removed"
  done
}
