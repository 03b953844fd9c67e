#!/usr/bin/env bash
# Makes the registry mirror's machine image, and tries it out before it says so. docs/release.md tells more.
#
#   dev/bazel run --config=release //docker-mirror:ami.build [-- --dry-run]
#
#   --dry-run   print every command that would run, and run none
#   --help      this text
#
#   IMAGE_FAMILY, BUILDKITE_BUILD_NUMBER   the image is called <family>-<build number>
#   EXECUTOR_IS_TAGGED_RELEASE   "true": for all of Amazon's regions; "false": for one
#   AWS_EXECUTOR_AMI_ACCESS_KEY, AWS_EXECUTOR_AMI_SECRET_KEY   Amazon's; empty for the credentials of this machine
#   EXECUTOR_GCP_KEY_SECRET      the secret with Google's key; e2e-builder-sa-key when unset; empty for the credentials of this machine
#   EXECUTOR_IMAGE_BUILDERS      googlecompute,amazon-ebs when unset; qemu for an image on this machine
#   PKR_VAR_…                    the template's own variables, such as its network
set -euo pipefail

usage() { sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

# The repository, or its part below the folder of run files where Bazel runs this.
for root in "$(dirname "${BASH_SOURCE[0]}")/.." "$PWD" "${RUNFILES_DIR:-$0.runfiles}/_main"; do
  if [[ -f $root/dev/lib/machine_images/build.sh ]]; then break; fi
done
readonly images_program=ami.build
# shellcheck disable=SC2034 # build.sh reads it
readonly build_flags=(registry-mirror-amd64 registry-mirror-arm64)
# shellcheck source=dev/lib/machine_images/build.sh
source "$root/dev/lib/machine_images/build.sh"

build_want() { :; }

build_files() { build_put "registry-mirror-$architecture" files/registry-mirror; }

build_variables() { :; }

build_main "$@"
