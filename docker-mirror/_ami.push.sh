#!/usr/bin/env bash
# Publishes the registry mirror's machine image that ami.build made of the commit that is checked out. docs/release.md tells more.
#
#   dev/bazel run --config=release //docker-mirror:ami.push [-- --dry-run]
#
#   --dry-run   print every command that a cloud would get, and run none
#   --help      this text
#
# Stops at the first thing that isn't as it should be, and says what is where by then; running it again goes on from there.
#
#   IMAGE_FAMILY, BUILDKITE_BUILD_NUMBER   the image is called <family>-<build number>
#   EXECUTOR_IS_TAGGED_RELEASE   "true": to all of Amazon's regions; "false": to one, and old images of the family are removed
#   AWS_EXECUTOR_AMI_ACCESS_KEY, AWS_EXECUTOR_AMI_SECRET_KEY   Amazon's; empty for the credentials of this machine
#   EXECUTOR_GCP_IMAGE_MEMBER    who may use Google's image; allAuthenticatedUsers when unset
#   EXECUTOR_IMAGE_BUILDERS      googlecompute,amazon-ebs when unset: which clouds to publish at
#   EXECUTOR_ARTIFACTS_URL       where published/<family> is noted, as for binary.push
set -euo pipefail

usage() { sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

# The repository, or its part below the folder of run files where Bazel runs this.
for root in "$(dirname "${BASH_SOURCE[0]}")/.." "$PWD" "${RUNFILES_DIR:-$0.runfiles}/_main"; do
  if [[ -f $root/dev/lib/machine_images/push.sh ]]; then break; fi
done
# shellcheck disable=SC2034 # push.sh reads it
readonly images_program=ami.push
# shellcheck source=dev/lib/machine_images/push.sh
source "$root/dev/lib/machine_images/push.sh"

push_main "$@"
