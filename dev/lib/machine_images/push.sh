# shellcheck shell=bash
# Publishes a machine image: vm-image/_ami.push.sh and docker-mirror/_ami.push.sh call push_main. docs/release.md tells more.
# shellcheck disable=SC2154

push_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib/machine_images/settings.sh
source "$push_here/settings.sh"
# shellcheck source=dev/lib/machine_images/calls.sh
source "$push_here/calls.sh"
# shellcheck source=dev/lib/machine_images/report.sh
source "$push_here/report.sh"
# shellcheck source=dev/lib/machine_images/amazon.sh
source "$push_here/amazon.sh"
# shellcheck source=dev/lib/machine_images/amazon_old.sh
source "$push_here/amazon_old.sh"
# shellcheck source=dev/lib/machine_images/google.sh
source "$push_here/google.sh"
# shellcheck source=dev/lib/artifacts.sh
source "$push_here/../artifacts.sh"

push_parse() {
  local word
  gcloud='' regions_file=''
  for word in "$@"; do
    case $word in
      --dry-run) images_dry_run=true ;;
      --regions=?*) regions_file=${word#*=} ;;
      -h | --help)
        usage
        exit 0
        ;;
      -*) images_fail "unknown flag $word; see --help" ;;
      *)
        [[ -z $gcloud ]] || images_fail "unexpected argument $word; see --help"
        images_find "$word"
        gcloud=$found
        ;;
    esac
  done
  [[ -n $gcloud ]] || images_fail 'the argument gcloud is missing; run this by Bazel, or see --help'
}

# push_commit: which commit these images are of, as ci-should-rebuild.sh will want to know.
push_commit() {
  local workspace=${BUILD_WORKSPACE_DIRECTORY:-$push_here/../../..} changed
  commit=$(git -C "$workspace" rev-parse --verify HEAD) || images_fail "$workspace is no git clone with a commit, and what is published is noted by its commit"
  changed=$(git -C "$workspace" --no-optional-locks status --porcelain) || images_fail "git can't tell whether $workspace is clean"
  [[ -z $changed ]] || $images_dry_run ||
    images_fail "the tree has changes that are in no commit, so these images can't be noted as those of $commit: ${changed//$'\n'/,}"
}

push_tools() {
  if images_builds googlecompute; then images_need_tool "$gcloud" version; fi
  if images_builds amazon-ebs; then images_need_aws; fi
  artifacts_dry_run=$images_dry_run
  # Bazel's gsutil is that of the machine.
  artifacts_gsutil=$push_here/../../tools/gsutil.sh
  artifacts_open "${EXECUTOR_ARTIFACTS_URL:-gs://sourcegraph-artifacts/executors}" || exit 1
}

push_end() {
  local status=$?
  calls_stop
  artifacts_close
  if ((status != 0)) && ! $images_dry_run && [[ -n $report_next ]]; then report_print; fi
  rm -rf -- "$scratch"
}

# push_note: says what ci-should-rebuild.sh compares with. Last of all: without it the next build makes everything again.
push_note() {
  report "$artifacts_root" "not known whether published/$family names $commit"
  printf '%s\n' "$commit" >"$scratch/commit"
  artifacts_write "$scratch/commit" "published/$family" || images_fail "published/$family could not be written"
}

# push_images: nothing is public before all is known to be there.
push_images() {
  if images_builds googlecompute; then google_check; fi
  if images_builds amazon-ebs; then
    amazon_check
    amazon_copy
    amazon_wait
  fi
  if images_builds googlecompute; then google_publish; fi
  if images_builds amazon-ebs; then amazon_publish; fi
  if images_builds googlecompute; then google_old; fi
  if images_builds amazon-ebs; then amazon_prune; fi
}

push_main() {
  push_parse "$@"
  images_settings
  images_builds googlecompute || images_builds amazon-ebs || images_fail 'EXECUTOR_IMAGE_BUILDERS names no cloud to publish to: want googlecompute or amazon-ebs'
  calls_settings
  # How many of a family stay, however old they are.
  keep=$(images_number EXECUTOR_IMAGE_KEEP 3) || exit 1
  google_settings
  amazon_settings
  images_need_jq
  images_regions "$regions_file"
  export CLOUDSDK_CORE_PROJECT=${CLOUDSDK_CORE_PROJECT:-sourcegraph-dev}
  scratch=$(mktemp -d)
  trap push_end EXIT
  trap 'exit 130' INT TERM
  push_commit
  push_tools
  report_next='run this again: it goes on from there, and does nothing twice'
  push_images
  push_note
  $images_dry_run || printf '%s: %s is published; published/%s names %s\n' "$images_program" "$images_name" "$family" "$commit"
}
