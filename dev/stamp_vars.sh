#!/usr/bin/env bash
# Bazel's workspace status: which version is being built, and of when it is, by the clone that this is called in. .bazelrc names it for
# --config=release.
#
#   STABLE_VERSION     the first of these that is a version (internal/version says what may be one):
#                      BUILDKITE_TAG without its v · VERSION · git describe, by tags such as v5.2.0 · 0.0.0+dev
#   STABLE_COMMIT      the commit; left out when the tree is not that of a commit
#   VERSION_TIMESTAMP  when the commit was made, in seconds since 1970; now, when the tree is not that of a commit
#
# Bazel stamps again when a STABLE_ value changes, and keeps what it has when another one does: with the commit among them, the time is always
# that of the commit, and while people work nothing is linked again for the sake of a second.
#
# Nothing here fails a build: without git, or outside of a clone, it is a development build of now.
set -euo pipefail

readonly development=0.0.0+dev

# is_version WORD: whether executors of that version can be told from others: a release, or a build of a date.
is_version() {
  local release='^[0-9]{1,9}\.[0-9]{1,9}(\.([0-9]+|x))?([-+_][0-9A-Za-z.+_-]+)?$'
  local dated='^[0-9A-Za-z_-]+_[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])_[0-9A-Za-z][0-9A-Za-z._-]*$'
  [[ $1 =~ $release || $1 =~ $dated ]]
}

# commit: the hash of the commit that the tree is of; nothing when it has changes, or there is no git. No lock is taken: other commands of git may run
# meanwhile.
commit() {
  local changes
  changes=$(git --no-optional-locks status --porcelain 2>/dev/null) || return 0
  if [[ -z $changes ]]; then git rev-parse --verify --quiet HEAD || true; fi
}

# described: the nearest release before HEAD, and how far away it is; nothing when there is none.
described() {
  # The number of digits is git's own choice otherwise, and another one in another clone.
  git describe --tags --match 'v[0-9]*' --abbrev=12 --dirty 2>/dev/null || true
}

version() {
  local name word
  for name in BUILDKITE_TAG VERSION; do
    word=${!name-}
    word=${word#v}
    if [[ -n $word ]]; then
      if is_version "$word"; then
        printf '%s\n' "$word"
        return
      fi
      printf '%s: %s is "%s", which is no version: not used\n' "$0" "$name" "${!name}" >&2
    fi
  done
  word=$(described)
  word=${word#v}
  if is_version "$word"; then printf '%s\n' "$word"; else printf '%s\n' "$development"; fi
}

printf 'STABLE_VERSION %s\n' "$(version)"
built=$(commit)
if [[ -n $built ]]; then
  printf 'STABLE_COMMIT %s\n' "$built"
  printf 'VERSION_TIMESTAMP %s\n' "$(git show --no-patch --format=%ct "$built")"
else
  printf 'VERSION_TIMESTAMP %(%s)T\n' -1
fi
