#!/usr/bin/env bash
# Makes the executor's machine image, and tries it out before it says so. docs/release.md tells more.
#
#   dev/bazel run --config=release //vm-image:ami.build [-- --dry-run]
#
#   --dry-run   print every command that would run, and run none
#   --help      this text
#
#   IMAGE_FAMILY, BUILDKITE_BUILD_NUMBER   the image is called <family>-<build number>
#   VERSION                      the version of the executor in it
#   EXECUTOR_IS_TAGGED_RELEASE   "true": for all of Amazon's regions; "false": for one
#   SRC_CLI_VERSION              the version of src in it; Bazel sets it
#   AWS_EXECUTOR_AMI_ACCESS_KEY, AWS_EXECUTOR_AMI_SECRET_KEY   Amazon's; empty for the credentials of this machine
#   EXECUTOR_GCP_KEY_SECRET      the secret with Google's key; e2e-builder-sa-key when unset; empty for the credentials of this machine
#   EXECUTOR_IMAGE_BUILDERS      googlecompute,amazon-ebs when unset; qemu for an image on this machine
#   PKR_VAR_…                    the template's own variables, such as its network
set -euo pipefail

usage() { sed -n '2,18s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

# The repository, or its part below the folder of run files where Bazel runs this.
for root in "$(dirname "${BASH_SOURCE[0]}")/.." "$PWD" "${RUNFILES_DIR:-$0.runfiles}/_main"; do
  if [[ -f $root/dev/lib/machine_images/build.sh ]]; then break; fi
done
readonly images_program=ami.build
# shellcheck disable=SC2034 # build.sh reads it
readonly build_flags=(src-amd64 src-arm64 executor-amd64 executor-arm64 executor-vm)
# shellcheck source=dev/lib/machine_images/build.sh
source "$root/dev/lib/machine_images/build.sh"

build_want() {
  images_want VERSION '[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}' 'the version of the executor'
  images_want SRC_CLI_VERSION '[0-9]+\.[0-9]+\.[0-9]+([.+-][0-9A-Za-z.-]+)?' 'a version of src such as 6.1.0'
}

build_files() {
  build_put "executor-$architecture" files/executor.deb
  # MicroVMs exist for amd64 only.
  if [[ $architecture == amd64 ]]; then build_put executor-vm files/executor-vm.tar; fi
  if [[ -n ${given[src-$architecture]-} ]]; then build_put "src-$architecture" files/src; else images_say "this build has no src: the image downloads release $SRC_CLI_VERSION while it is made"; fi
}

build_variables() { variables+=("PKR_VAR_version=$VERSION" "PKR_VAR_src_cli_version=$SRC_CLI_VERSION"); }

build_main "$@"
