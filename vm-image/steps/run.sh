# shellcheck shell=bash
# shellcheck disable=SC2034 # steps use what is set here
# Runs the steps of install.sh, and gives them their verbs. Sourced by install.sh, here and in docker-mirror.
#
# A step is a file that defines the function "step". It looks at what is there first and changes only what differs, by the verbs below, each
# of which says "changed" when it changed something: a second run says "already so" everywhere. What a step starts, the image's first boot
# starts: a step never relies on a running service.

# A failure within $(…) is one.
shopt -s inherit_errexit

# The folder of what goes into the image, and where files that steps and boots share are.
files=${FILES:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/files}
readonly files
readonly machine_dir=/usr/lib/machine-image

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

# run_steps FILE…: runs them in order, and says at the end how many changes they made. The first that fails ends the run.
run_steps() {
  local file status all=0 began=$SECONDS
  changes=$(mktemp)
  readonly changes
  # shellcheck disable=SC2064 # the name of now
  trap "rm -f '$changes' '$changes.lists'" EXIT
  for file in "$@"; do
    : >"$changes"
    printf '== %s\n' "$(step_name "$file")"
    # Not in a condition: there, bash would go on after a failure.
    set +e
    (
      set -euo pipefail
      # shellcheck disable=SC1090 # a step
      source "$file"
      step
    )
    status=$?
    set -e
    if ((status != 0)); then
      printf '== %s FAILED with status %d, see above; steps after it were not run\n' "$(step_name "$file")" "$status" >&2
      exit "$status"
    fi
    if [[ -s $changes ]]; then
      all=$((all + $(wc -l <"$changes")))
    else
      printf 'already so\n'
    fi
  done
  printf '== done in %ds: %d steps, %d changes\n' $((SECONDS - began)) $# "$all"
}

step_name() { basename "$1" .sh; }

# changed WHAT…: tells, and counts, a change that was made.
changed() {
  printf 'changed: %s\n' "$*"
  printf '%s\n' "$*" >>"$changes"
}

# stop WHY…: ends the step, and with it the run.
stop() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# truth NAME: whether the option is true. Anything but true and false is an error, so that a slip of the pen isn't a "no".
truth() {
  case ${!1-} in
    true) return 0 ;;
    false | '') return 1 ;;
    *) stop "$1 is \"${!1}\": it must be true or false" ;;
  esac
}

# left_out PART: whether the option LEAVE_OUT, words, has the part.
left_out() { [[ " ${LEAVE_OUT-} " == *" $1 "* ]]; }

# apt_get COMMAND…: apt-get, which waits for one that runs (a cloud's image updates itself after its boot) and keeps files that were changed.
apt_get() {
  apt-get --quiet --quiet --yes --no-install-recommends --option DPkg::Lock::Timeout=300 --option Acquire::Retries=3 \
    --option Dpkg::Use-Pty=0 --option Dpkg::Options::=--force-confold "$@"
}

# installed PACKAGE: whether it is, wholly.
installed() { [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# packages NAME…: installs those that aren't.
packages() {
  local name missing=()
  for name in "$@"; do
    if ! installed "$name"; then missing+=("$name"); fi
  done
  if ((${#missing[@]} == 0)); then return; fi
  apt_lists
  apt_get install "${missing[@]}" </dev/null >/dev/null || stop "apt could not install ${missing[*]}, see above"
  changed "installed ${missing[*]}"
}

# apt_lists: fetches apt's lists, once a run. The clean-up removes them at the end.
apt_lists() {
  local stamp=$changes.lists
  [[ ! -e $stamp ]] || return 0
  apt_get update >/dev/null || stop 'apt could not fetch its lists, see above'
  : >"$stamp"
}

# content PATH MODE: writes standard input to the file, at once or not at all, unless it has that content and mode already.
content() {
  local path=$1 mode=$2 new
  mkdir -p "$(dirname "$path")"
  new=$(mktemp "$path.XXXXXX")
  cat >"$new"
  chmod "$mode" "$new"
  if [[ -f $path && ! -L $path ]] && cmp -s "$new" "$path" && [[ $(stat -c '%a %u:%g' "$path") == "$mode 0:0" ]]; then
    rm "$new"
    return
  fi
  mv -T "$new" "$path"
  changed "wrote $path"
}

# place FILE PATH MODE: the same with a file's content.
place() { content "$2" "$3" <"$1"; }

# absent PATH…: removes what is there.
absent() {
  local path
  for path in "$@"; do
    if [[ -e $path || -L $path ]]; then
      rm -rf -- "$path"
      changed "removed $path"
    fi
  done
}

# enabled UNIT…: has the machine start it from the next boot on.
enabled() {
  local unit
  for unit in "$@"; do
    if [[ $(systemctl is-enabled "$unit" 2>/dev/null) != enabled ]]; then
      systemctl --quiet enable "$unit"
      changed "enabled $unit"
    fi
  done
}

# once NAME FILE COMMAND…: runs the command unless it has run for a file with this content. For what is made of a file.
once() {
  local stamp=/var/lib/machine-image/$1 sum
  sum=$(sha256sum <"$2" | cut -d' ' -f1)
  shift 2
  if [[ $(cat "$stamp" 2>/dev/null) == "$sum" ]]; then return; fi
  "$@"
  mkdir -p "${stamp%/*}"
  printf '%s\n' "$sum" >"$stamp"
}
