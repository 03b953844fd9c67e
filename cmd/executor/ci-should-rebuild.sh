#!/usr/bin/env bash
# Says whether the machine images must be built again: whether anything that goes into them changed since they were last published.
#
#   cmd/executor/ci-should-rebuild.sh
#
# Exits with 0 when they must, and prints why; with 1 when nothing changed; with anything else when something is wrong with the call. Whatever goes
# wrong while looking means 0, with the reason on stderr: a build too many costs minutes, a build too few goes unnoticed. Asks target-determinator,
# which must be on PATH, and which checks out the older commit for a while when the tree is clean.
#
#   EXECUTOR_PUBLISHED_COMMIT   the commit to compare with
#   IMAGE_FAMILY                else: the family of images whose last publication to compare with, as EXECUTOR_ARTIFACTS_URL knows it
#   EXECUTOR_ARTIFACTS_URL      gs://sourcegraph-artifacts/executors when unset
#   EXECUTOR_REBUILD_TIMEOUT    seconds to wait for target-determinator; 1800 when unset
set -euo pipefail

# Nothing but a decision may end this with 1: set -e would, wherever a command fails unforeseen.
decided=false
trap 'code=$?; $decided || ((code != 1)) || exit 3' EXIT

readonly targets='//cmd/executor/vm-image:ami.build union //cmd/executor/docker-mirror:ami.build'

say() { printf 'ci-should-rebuild: %s\n' "$*" >&2; }

# rebuild REASON: ends with 0.
rebuild() {
  say "rebuild: $*"
  exit 0
}

unchanged() {
  decided=true
  say "nothing changed since $before"
  exit 1
}

# published_of FAMILY: the commit whose images were published last. 1 when none is known, 2 when that can't be told.
published_of() {
  [[ $1 =~ ^[a-z0-9-]+$ ]] || { say "IMAGE_FAMILY is \"$1\": want small letters, digits and dashes"; return 2; }
  artifacts_gsutil=dev/tools/gsutil.sh
  artifacts_open "${EXECUTOR_ARTIFACTS_URL:-gs://sourcegraph-artifacts/executors}" || return 2
  artifacts_read "published/$1"
}

# find_before: sets before, the commit to compare with.
find_before() {
  local status=0
  before=${EXECUTOR_PUBLISHED_COMMIT-}
  if [[ -z $before && -n ${IMAGE_FAMILY-} ]]; then
    before=$(published_of "$IMAGE_FAMILY") || status=$?
    ((status < 2)) || rebuild "which commit $IMAGE_FAMILY was last published from can't be told"
  fi
  if [[ -z $before ]]; then
    say "no published commit is known${IMAGE_FAMILY:+ for $IMAGE_FAMILY}: comparing with the parent commit, so that a build that failed before this one is not made up for"
    before=$(git rev-parse --verify --quiet 'HEAD^') || rebuild 'HEAD has no parent in this clone (its first commit, or a shallow clone)'
  fi
  [[ $before =~ ^[0-9a-f]{40}([0-9a-f]{24})?$ ]] || rebuild "\"${before:0:80}\" is not the full hash of a commit"
  git cat-file -e "$before^{commit}" 2>/dev/null || rebuild "commit $before is not in this clone (shallow, or rewritten?)"
}

# restore: checks out again what was, where target-determinator was stopped before it did.
restore() {
  local now
  now=$(git symbolic-ref --quiet --short HEAD || git rev-parse HEAD)
  if [[ $now != "$head" ]]; then git checkout --quiet "$head" || say "$head could not be checked out again: this clone is at $now"; fi
}

# ask: prints what changed. Bazel's path is relative: target-determinator may work in a copy of the tree, and dev/bazel works on the tree it lies in.
ask() {
  timeout --kill-after=30 "$patience" \
    target-determinator --bazel=dev/bazel --verbose --targets "$targets" "$before"
}

main() {
  (($# == 0)) || { say "unexpected argument $1: there are none"; exit 2; }
  patience=${EXECUTOR_REBUILD_TIMEOUT:-1800}
  [[ $patience =~ ^[1-9][0-9]{0,5}$ ]] || { say "EXECUTOR_REBUILD_TIMEOUT is \"$patience\": want seconds"; exit 2; }
  cd "$(dirname "${BASH_SOURCE[0]}")/../.."
  # shellcheck source=dev/lib/artifacts.sh
  source dev/lib/artifacts.sh

  command -v git >/dev/null || rebuild 'git is not on PATH'
  git rev-parse --verify --quiet HEAD >/dev/null || rebuild "$PWD is no git clone with a commit"
  [[ $(git rev-parse --is-shallow-repository) == false ]] || rebuild 'this clone is shallow: fetch all of its history to compare (git fetch --unshallow)'
  command -v target-determinator >/dev/null || rebuild 'target-determinator is not on PATH'
  find_before

  local output status=0 labels
  head=$(git symbolic-ref --quiet --short HEAD || git rev-parse HEAD)
  output=$(ask) || status=$?
  restore
  ((status != 124 && status != 137)) || rebuild "target-determinator did not answer within $patience s"
  ((status == 0)) || rebuild "target-determinator failed ($status); its last line: ${output##*$'\n'}"
  [[ -n $output ]] || unchanged
  printf '%s\n' "${output:0:20000}"
  # A change is a line that begins with a target; what changed in it may take more lines.
  labels=$(grep -cE '^(@@?[A-Za-z0-9._~+-]*)?//[^ ]' <<<"$output") || rebuild 'target-determinator named no target, but said the above'
  rebuild "$labels configured targets changed since $before"
}

# One command, read as a whole: the file may be another one while an older commit is checked out.
main "$@"; exit
