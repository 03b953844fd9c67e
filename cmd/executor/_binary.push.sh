#!/usr/bin/env bash
# Publishes the executors of the commit that is checked out. docs/release.md tells more.
#
#   dev/bazel run --config=release //cmd/executor:binary.push [-- --dry-run]
#
#   --dry-run   print every command that would change something, and change nothing
#   --help      this text
#
# Always publishes <commit>/. On the branch main, latest/ shows it then; for a tagged release, <tag>/ does.
#
#   EXECUTOR_ARTIFACTS_URL       where to: gs://BUCKET/…, s3://BUCKET/… or file:///DIRECTORY; gs://sourcegraph-artifacts/executors when unset
#   BUILDKITE_BRANCH             what is being built: "main" moves latest/
#   EXECUTOR_IS_TAGGED_RELEASE   "true" for a release: publishes BUILDKITE_TAG
#   BUILDKITE_TAG                the release's tag, such as v5.2.0
#   CLOUDSDK_CORE_PROJECT        Google's project; sourcegraph-dev when unset
set -euo pipefail

# The files of a release, in the order in which they appear: a checksum after its file, what says that all are there last.
readonly files=(
  linux-amd64/executor linux-amd64/executor_SHA256SUM linux-amd64/executor.spdx.json
  linux-arm64/executor linux-arm64/executor_SHA256SUM linux-arm64/executor.spdx.json
  info.txt provenance.json COMMIT SHA256SUMS
)

usage() { sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

fail() {
  printf 'binary.push: %s\n' "$*" >&2
  exit 1
}

# refuse SENTENCE: ends a real run. A dry one only tells.
refuse() {
  $dry_run || fail "$@"
  printf 'binary.push: a real run stops here: %s\n' "$*" >&2
}

# done_is SENTENCE: tells what a real run did.
done_is() { $dry_run || printf 'binary.push: %s\n' "$*"; }

# find_file WORD: sets found, a file by its path, or by the name that Bazel gives it: its path below the folder of run files.
find_file() {
  local below
  for below in "$PWD" "${RUNFILES_DIR:-$0.runfiles}/_main"; do
    found=$below/$1
    if [[ $1 == /* ]]; then found=$1; fi
    if [[ -f $found ]]; then return; fi
  done
  return 1
}

# find_ours FILE: sets found, a file of the repository that this script uses.
find_ours() {
  found=$here/../../$1
  [[ -f $found ]] || find_file "$1" || fail "$1 is not among the run files"
}

# given NAME WORD: sets found, the file that stands for NAME among the arguments.
given() {
  [[ -n $2 ]] || fail "the argument $1 is missing; run this by Bazel, or see --help"
  find_file "$2" || fail "there is no file $2, given as $1"
}

parse() {
  local -a positional=()
  local word
  for word in "$@"; do
    case $word in
      --dry-run) dry_run=true ;;
      -h | --help)
        usage
        exit 0
        ;;
      --packages-linux-amd64=?* | --packages-linux-arm64=?*)
        given "${word%%=*}" "${word#*=}"
        packages+=("${word%%=*}=$found")
        ;;
      -*) fail "unknown flag $word; see --help" ;;
      *) positional+=("$word") ;;
    esac
  done
  ((${#positional[@]} <= 4)) || fail "unexpected argument ${positional[4]}; see --help"
  given 'executor for linux-amd64' "${positional[0]-}"
  amd64=$found
  given 'executor for linux-arm64' "${positional[1]-}"
  arm64=$found
  given 'release program' "${positional[2]-}"
  release=$found
  given gsutil "${positional[3]-}"
  artifacts_gsutil=$found
}

# know_source: which commit, branch and tag this is, and whether they may be published.
know_source() {
  workspace=${BUILD_WORKSPACE_DIRECTORY:-$here/../..}
  commit=$(git -C "$workspace" rev-parse --verify HEAD) || fail "$workspace is no git clone with a commit, and what is published is named by its commit"
  local changed
  changed=$(git -C "$workspace" --no-optional-locks status --porcelain) || fail "git can't tell whether $workspace is clean"
  if [[ -n $changed ]]; then
    refuse "the tree has changes that are in no commit, so the binaries are not those of $commit: ${changed//$'\n'/,}"
  fi

  branch=${BUILDKITE_BRANCH-}
  # A pull request's branch has the name that its author gave it.
  if [[ ${BUILDKITE_PULL_REQUEST:-false} != false ]]; then branch="pull request $BUILDKITE_PULL_REQUEST"; fi

  tag=''
  case ${EXECUTOR_IS_TAGGED_RELEASE-} in
    true) know_tag ;;
    '' | false) ;;
    *) fail "EXECUTOR_IS_TAGGED_RELEASE is \"$EXECUTOR_IS_TAGGED_RELEASE\": want true, or false or nothing" ;;
  esac
}

know_tag() {
  tag=${BUILDKITE_TAG-}
  if [[ -z $tag ]]; then
    echo 'binary.push: a release without BUILDKITE_TAG: only the directory of the commit is published'
    return
  fi
  # Anything else could be taken for another name of the place, or for a path.
  [[ $tag =~ ^v?[0-9]+\.[0-9A-Za-z.+_-]+$ ]] || fail "BUILDKITE_TAG is \"$tag\", which is no release: want one such as v5.2.0"
  local tagged
  tagged=$(git -C "$workspace" rev-parse --verify --quiet "refs/tags/$tag^{commit}") || tagged=$commit
  [[ $tagged == "$commit" ]] || refuse "the tag $tag is of the commit $tagged, and checked out is $commit"
}

# stage: fills the directory that is published.
stage() {
  local version seconds url
  version=$(sed -n 's/^STABLE_VERSION //p' <<<"$(cd "$workspace" && "$stamps")")
  seconds=$(git -C "$workspace" show --no-patch --format=%ct HEAD)
  url=$(git -C "$workspace" remote get-url origin 2>/dev/null) || url=''
  if [[ $version == 0.0.0+dev ]]; then
    [[ -z $tag ]] || refuse "the release $tag is built as the version $version"
    echo "binary.push: this commit has no version (no VERSION, and no tag before it): it is published as $version" >&2
  fi
  # For people; nothing of it depends on the settings of whoever publishes.
  git -C "$workspace" -c log.showSignature=false log -1 --no-mailmap --no-decorate --no-notes --no-color --format=medium --date=iso-strict \
    >"$scratch/info.txt"
  mkdir "$scratch/staged"
  local -a command=(
    "$release" --out "$scratch/staged" --linux-amd64 "$amd64" --linux-arm64 "$arm64" "${packages[@]}"
    --commit "$commit" --commit-time "$seconds" --version "$version" --module-dir "$workspace" --info "$scratch/info.txt"
    --source-url "$url" --branch "$branch" --tag "$tag"
  )
  if $dry_run; then printf '+%s\n' "$(printf ' %q' "${command[@]}")"; fi
  "${command[@]}" || refuse 'these executors are not published'
}

# executor_sums: the lines of executors in a SHA256SUMS.
executor_sums() { grep -E '  linux-[a-z0-9]+/executor$' || true; }

# publish_commit: <commit>/ is there, whole. It never changes: what was published of a commit stays.
publish_commit() {
  local published status=0
  published=$(artifacts_read "$commit/SHA256SUMS") || status=$?
  case $status in
    0)
      if [[ $(executor_sums <<<"$published") == "$(executor_sums <"$scratch/staged/SHA256SUMS")" ]]; then
        done_is "$commit was published before: kept"
      else
        [[ -z $tag ]] || fail "$commit was published before with other bytes than the release $tag has now; $artifacts_root/$commit stays as it is"
        echo "binary.push: warning: $commit was published before with other bytes than it has now: what was published stays" >&2
      fi
      ;;
    1) artifacts_put_dir "$scratch/staged" "$commit" "${files[@]}" || fail "$artifacts_root/$commit could not be put" ;;
    *) fail "whether $commit was published before can't be told" ;;
  esac
}

# publish_latest: latest/ shows this commit, unless it shows a newer one: the build of an older commit may end later.
publish_latest() {
  local current status=0
  current=$(artifacts_read latest/COMMIT) || status=$?
  ((status < 2)) || fail "what latest/ shows can't be told: it stays as it is"
  if [[ $current =~ ^[0-9a-f]{40,64}$ && $current != "$commit" ]] &&
    git -C "$workspace" merge-base --is-ancestor "$commit" "$current" 2>/dev/null; then
    echo "binary.push: latest/ shows $current, which is newer: it stays"
    return
  fi
  artifacts_switch latest "$commit" "${files[@]}" || fail "latest/ could not be switched to $commit"
  done_is "latest/ shows $commit"
}

main() {
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  dry_run=false packages=()
  find_ours dev/stamp_vars.sh
  stamps=$found
  find_ours dev/lib/artifacts.sh
  # shellcheck source=dev/lib/artifacts.sh
  source "$found"
  parse "$@"
  artifacts_dry_run=$dry_run
  export CLOUDSDK_CORE_PROJECT=${CLOUDSDK_CORE_PROJECT:-sourcegraph-dev}

  scratch=$(mktemp -d)
  trap 'artifacts_close; rm -rf -- "$scratch"' EXIT
  trap 'exit 130' INT TERM

  know_source
  artifacts_open "${EXECUTOR_ARTIFACTS_URL:-gs://sourcegraph-artifacts/executors}" || exit 1
  stage
  publish_commit
  done_is "$artifacts_root/$commit holds the executors"
  if [[ $branch == main ]]; then publish_latest; fi
  if [[ -n $tag ]]; then
    artifacts_pin "$tag" "$commit" "$scratch/staged" "${files[@]}" || fail "$tag/ was not published"
    done_is "$tag/ shows $commit"
  fi
}

main "$@"
