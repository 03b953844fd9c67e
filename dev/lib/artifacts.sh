# shellcheck shell=bash
# A place of published files: a bucket at Google (gs://) or Amazon (s3://), or a directory (file://). docs/release.md draws its layout.
#
# A place holds directories named by commits, which are whole once their last file is there and never change, and names such as "latest" that
# show what one of them holds. A directory of files does that with symbolic links, switched in one step. Buckets can't switch several objects at
# once: there a name's files are overwritten one by one, and its COMMIT, which says where the unchanging files are, last.
#
# No function relies on set -e, and each returns 0 when it did what it says: all can stand in conditions.

# The file of a directory that names it, and the one that is put last.
readonly artifacts_pointer=COMMIT artifacts_mark=SHA256SUMS

# Set these before or after artifacts_open.
artifacts_dry_run=false # print commands instead of running them
artifacts_gsutil=gsutil artifacts_aws=aws
artifacts_limit=900 artifacts_read_limit=60 # seconds that gsutil or aws may take; all that they started ends then

readonly artifacts_read_size=65536 # bytes of the largest small file

readonly artifacts_forever='public,max-age=31536000,immutable' artifacts_never='no-cache,max-age=0'

# What isn't finished has a name that nobody else's has, below the place's top.
artifacts_kind='' artifacts_root='' artifacts_unfinished='' artifacts_running=''
readonly artifacts_new=.new-$HOSTNAME-$$-$RANDOM

artifacts_say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# artifacts_open URL: chooses the place. 1 with a sentence when the URL is none or the program it needs is missing.
artifacts_open() {
  local bucket='^(gs|s3)://[a-z0-9][a-z0-9._-]+(/[A-Za-z0-9._-]+)*/?$'
  artifacts_kind=${1%%://*}
  artifacts_root=${1%/}
  if [[ $1 == file:///?* ]]; then
    artifacts_root=${artifacts_root#file://}
  elif [[ ! $1 =~ $bucket ]]; then
    artifacts_say "\"$1\" is no place for artifacts: want gs://BUCKET/…, s3://BUCKET/… or file:///DIRECTORY"
    return 1
  fi
  if $artifacts_dry_run; then return; fi
  case $artifacts_kind in
    gs) artifacts_tool "$artifacts_gsutil" version ;;
    s3) artifacts_tool "$artifacts_aws" --version ;;
  esac
}

# artifacts_tool PROGRAM ARG…: whether it can be run.
artifacts_tool() {
  local said
  said=$(timeout --kill-after=10 "$artifacts_read_limit" "$@" 2>&1) && return
  artifacts_say "$artifacts_root can't be reached without ${1##*/}, which does not run here: ${said:-not found}"
  return 1
}

# artifacts_close: ends and removes what an interrupted run would leave behind.
artifacts_close() {
  if [[ -n $artifacts_running ]]; then
    kill "$artifacts_running" 2>/dev/null || true
    wait "$artifacts_running" || true
    artifacts_running=''
  fi
  if [[ -n $artifacts_unfinished ]] && ! $artifacts_dry_run; then rm -rf -- "$artifacts_unfinished"; fi
  artifacts_unfinished=''
}

# artifacts_run COMMAND…: runs it, or prints it.
artifacts_run() {
  local status=0
  if $artifacts_dry_run; then
    printf '+%s\n' "$(printf ' %q' "$@")"
    return
  fi
  if [[ $artifacts_kind == file ]]; then
    "$@"
    return
  fi
  # A shell that waits for a command in the background heeds signals meanwhile.
  timeout --kill-after=10 "$artifacts_limit" "$@" &
  artifacts_running=$!
  wait "$artifacts_running" || status=$?
  artifacts_running=''
  return "$status"
}

# artifacts_read FILE: prints a small file of the place. 1 when there is none, 2 with a reason when that can't be told.
artifacts_read() {
  local at=$artifacts_root/$1
  case $artifacts_kind in
    gs) artifacts_fetch "$at" "$artifacts_gsutil" cat "$at" ;;
    s3) artifacts_fetch "$at" "$artifacts_aws" s3 cp --only-show-errors "$at" - ;;
    file)
      [[ -e $at ]] || return 1
      artifacts_small "$at" "$at"
      ;;
  esac
}

# artifacts_small NAME FILE: prints a file, unless it is none of the small ones that are published here.
artifacts_small() {
  local size
  size=$(stat -L -c %s -- "$2") || return 2
  if ((size > artifacts_read_size)); then
    artifacts_say "$1 has more than $artifacts_read_size bytes: it is none of the small files that were published here"
    return 2
  fi
  cat -- "$2" || return 2
}

# artifacts_fetch NAME COMMAND…: artifacts_read by a command that prints an object.
artifacts_fetch() {
  local at=$1 scratch status=0
  shift
  if $artifacts_dry_run; then
    artifacts_run "$@" >&2
    return 1
  fi
  scratch=$(mktemp -d) || return 2
  (
    set +e +o pipefail
    timeout --kill-after=10 "$artifacts_read_limit" "$@" 2>"$scratch/errors" | head -c $((artifacts_read_size + 1)) >"$scratch/content"
    exit "${PIPESTATUS[0]}"
  ) || status=$?
  # An end by the pipe, when there is more than is read, is told by the size.
  if ((status == 0 || status == 141)); then
    status=0
    artifacts_small "$at" "$scratch/content" || status=$?
  # What gsutil, gcloud storage and aws say of an object that isn't there.
  elif grep -qE 'No URLs matched|matched no objects|\(404\)' "$scratch/errors"; then
    status=1
  else
    artifacts_say "reading $at failed ($status): $(head -c 2000 "$scratch/errors")"
    status=2
  fi
  rm -rf -- "$scratch"
  return "$status"
}

# artifacts_write FROM FILE: puts or replaces a small file, in one step.
artifacts_write() {
  local new=$artifacts_root/$artifacts_new
  case $artifacts_kind in
    file)
      artifacts_unfinished=$new
      artifacts_run mkdir -p -- "$artifacts_root/$(dirname "$2")" &&
        artifacts_run cp -- "$1" "$new" &&
        artifacts_run chmod 0644 -- "$new" &&
        artifacts_run mv -T -- "$new" "$artifacts_root/$2" || return
      artifacts_unfinished=''
      ;;
    *) artifacts_upload "$artifacts_never" "$1" "$2" ;;
  esac
}

# artifacts_put_dir DIR COMMIT FILE…: makes COMMIT/ with the named files of DIR, whole or not at all: the last file, which must be the mark, goes
# last. Someone else who puts the same at the same time does no harm.
artifacts_put_dir() {
  local dir=$1 commit=$2 file
  shift 2
  [[ ${*: -1} == "$artifacts_mark" ]] || { artifacts_say "$artifacts_mark must be the last file of a directory"; return 1; }
  if [[ $artifacts_kind == file ]]; then
    artifacts_put_directory "$dir" "$commit" "$@"
    return
  fi
  for file in "$@"; do
    artifacts_upload "$artifacts_forever" "$dir/$file" "$commit/$file" || return
  done
}

artifacts_put_directory() {
  local dir=$1 commit=$2 new=$artifacts_root/$artifacts_new
  shift 2
  artifacts_unfinished=$new
  artifacts_run mkdir -p -- "$new" || return
  # What runs left behind that were killed on the way.
  artifacts_run find "$artifacts_root" -maxdepth 1 -name '.new-*' -mmin +1440 -exec rm -rf -- '{}' + || return
  artifacts_run cp -R -- "$dir/." "$new" &&
    artifacts_run chmod -R u=rwX,go=rX -- "$new" &&
    artifacts_run sync -- "${@/#/$new/}" || return
  # A rename never replaces a directory that has something in it.
  if ! artifacts_run mv -T -- "$new" "$artifacts_root/$commit"; then
    [[ -e $artifacts_root/$commit/$artifacts_mark ]] || return 1
    artifacts_say "$artifacts_root/$commit was put by someone else meanwhile: kept"
    artifacts_close
  fi
  artifacts_unfinished=''
}

# artifacts_switch NAME COMMIT FILE…: NAME/ shows the named files of COMMIT/, which must be whole.
artifacts_switch() {
  local name=$1 commit=$2 new=$artifacts_root/$artifacts_new
  shift 2
  if [[ $artifacts_kind == file ]]; then
    if [[ -d $artifacts_root/$name && ! -L $artifacts_root/$name ]]; then
      artifacts_say "$artifacts_root/$name is a directory, and only a symbolic link can be switched: move it away once"
      return 1
    fi
    artifacts_unfinished=$new
    artifacts_run ln -sfT -- "$commit" "$new" && artifacts_run mv -T -- "$new" "$artifacts_root/$name" || return
    artifacts_unfinished=''
    return
  fi
  artifacts_copy_all "$name" "$commit" "$@" && artifacts_copy "$name" "$commit" "$artifacts_pointer"
}

# artifacts_pin NAME COMMIT DIR FILE…: as artifacts_switch, once for all: 1 with a sentence when NAME/ shows another commit already. DIR holds the
# pointer to COMMIT. Buckets get the pointer first, as a claim that only one can make.
artifacts_pin() {
  local name=$1 commit=$2 dir=$3 current status=0
  shift 3
  if [[ $artifacts_kind == file ]]; then
    current=$(readlink -- "$artifacts_root/$name") || current=''
    if [[ -z $current ]]; then
      artifacts_run ln -sT -- "$commit" "$artifacts_root/$name" && return
      current=$(readlink -- "$artifacts_root/$name") || current='something else'
    fi
    artifacts_pinned "$name" "$commit" "$current"
    return
  fi
  current=$(artifacts_read "$name/$artifacts_pointer") || status=$?
  case $status in
    0) artifacts_pinned "$name" "$commit" "$current" || return ;;
    1)
      if ! artifacts_claim "$dir/$artifacts_pointer" "$name/$artifacts_pointer"; then
        current=$(artifacts_read "$name/$artifacts_pointer") || return
        artifacts_pinned "$name" "$commit" "$current" || return
      fi
      ;;
    *) return 1 ;;
  esac
  artifacts_copy_all "$name" "$commit" "$@"
}

artifacts_pinned() {
  [[ $2 == "$3" ]] && return
  artifacts_say "$artifacts_root/$1 was published already, from $3, and stays as it is; this is $2"
  return 1
}

# artifacts_copy_all NAME COMMIT FILE…: all but the pointer, in order, inside the bucket.
artifacts_copy_all() {
  local name=$1 commit=$2 file
  shift 2
  for file in "$@"; do
    if [[ $file != "$artifacts_pointer" ]]; then artifacts_copy "$name" "$commit" "$file" || return; fi
  done
}

artifacts_copy() {
  local from=$artifacts_root/$2/$3 to=$artifacts_root/$1/$3
  case $artifacts_kind in
    gs) artifacts_run "$artifacts_gsutil" -q -h "Cache-Control:$artifacts_never" cp "$from" "$to" ;;
    s3)
      artifacts_run "$artifacts_aws" s3 cp --only-show-errors --metadata-directive REPLACE --cache-control "$artifacts_never" "$from" "$to"
      ;;
  esac
}

# artifacts_upload CACHING FROM FILE: a local file becomes an object.
artifacts_upload() {
  case $artifacts_kind in
    gs) artifacts_run "$artifacts_gsutil" -q -h "Cache-Control:$1" cp "$2" "$artifacts_root/$3" ;;
    s3) artifacts_run "$artifacts_aws" s3 cp --only-show-errors --cache-control "$1" "$2" "$artifacts_root/$3" ;;
  esac
}

# artifacts_claim FROM FILE: as artifacts_upload, but fails when the object is there.
artifacts_claim() {
  local bucket=${artifacts_root#s3://} prefix=''
  case $artifacts_kind in
    gs) artifacts_run "$artifacts_gsutil" -q -h "Cache-Control:$artifacts_never" -h 'x-goog-if-generation-match:0' cp "$1" "$artifacts_root/$2" ;;
    s3)
      if [[ $bucket == */* ]]; then prefix=${bucket#*/}/; fi
      artifacts_run "$artifacts_aws" s3api put-object --if-none-match '*' --cache-control "$artifacts_never" --body "$1" \
        --bucket "${bucket%%/*}" --key "$prefix$2"
      ;;
  esac
}
