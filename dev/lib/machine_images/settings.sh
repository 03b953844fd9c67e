# shellcheck shell=bash
# What building and publishing of machine images both go by: the variables of a CI step, the tools, and the files that Bazel hands over.
# Whoever sources this sets images_program, the name that messages begin with.
# shellcheck disable=SC2034,SC2154

images_dry_run=false images_files=''

images_say() { printf '%s: %s\n' "$images_program" "$*" >&2; }

images_fail() {
  images_say "$@"
  exit 1
}

# images_print WORD…: a command that a dry run doesn't run.
images_print() { printf '+%s\n' "$(printf ' %q' "$@")"; }

# images_want VARIABLE PATTERN WANT: ends unless the variable is set to what the pattern matches.
images_want() {
  [[ -n ${!1-} ]] || images_fail "$1 is not set: want $3"
  [[ ${!1} =~ ^($2)$ ]] || images_fail "$1 is \"${!1}\": want $3"
}

# images_number VARIABLE DEFAULT: prints the variable's value, a whole number above 0.
images_number() {
  local value=${!1:-$2}
  [[ $value =~ ^[1-9][0-9]{0,5}$ ]] || images_fail "$1 is \"$value\": want a whole number above 0"
  printf '%s' "$value"
}

# images_seconds VARIABLE DEFAULT: prints the variable's value, seconds.
images_seconds() {
  local value=${!1:-$2}
  [[ $value =~ ^[0-9]{1,6}(\.[0-9]{1,3})?$ ]] || images_fail "$1 is \"$value\": want seconds"
  printf '%s' "$value"
}

# images_settings: reads what every step has. Sets images_name, family, tagged, builders and home, the region that Packer builds in.
images_settings() {
  images_want IMAGE_FAMILY '[a-z]([a-z0-9-]*[a-z0-9])?' 'the family of images, small letters, digits and dashes'
  images_want BUILDKITE_BUILD_NUMBER '[0-9]{1,10}' 'the number of the build, which ends the name of the image'
  # Not false when unset: a release that is taken for a nightly image would be pruned one day.
  images_want EXECUTOR_IS_TAGGED_RELEASE 'true|false' 'true or false'
  family=$IMAGE_FAMILY tagged=$EXECUTOR_IS_TAGGED_RELEASE
  images_name=$family-$BUILDKITE_BUILD_NUMBER
  # Google's limit, the narrower one.
  ((${#images_name} <= 63)) || images_fail "IMAGE_FAMILY and BUILDKITE_BUILD_NUMBER make the name $images_name, which has more than the 63 characters that Google allows"
  home=${EXECUTOR_AWS_REGION:-us-west-2}
  [[ $home =~ ^[a-z]{2}(-[a-z]+)+-[0-9]+$ ]] || images_fail "EXECUTOR_AWS_REGION is \"$home\": want a region such as us-west-2"
  gcp_project=${EXECUTOR_GCP_PROJECT:-sourcegraph-ci}
  [[ $gcp_project =~ ^[a-z][a-z0-9.:-]+$ ]] || images_fail "EXECUTOR_GCP_PROJECT is \"$gcp_project\": want the id of a project"
  images_builders
  images_amazon_keys
}

# images_builders: sets builders, those of Packer's that a run is about.
images_builders() {
  local builder
  IFS=', ' read -r -a builders <<<"${EXECUTOR_IMAGE_BUILDERS:-googlecompute,amazon-ebs}"
  for builder in "${builders[@]}"; do
    case $builder in
      googlecompute | amazon-ebs | qemu) ;;
      *) images_fail "EXECUTOR_IMAGE_BUILDERS has \"$builder\": want googlecompute, amazon-ebs or qemu, separated by commas" ;;
    esac
  done
  ((${#builders[@]} > 0)) || images_fail "EXECUTOR_IMAGE_BUILDERS names no builder: want googlecompute, amazon-ebs or qemu"
}

# images_builds BUILDER: whether the run is about it.
images_builds() { [[ " ${builders[*]} " == *" $1 "* ]]; }

# images_amazon_keys: takes Amazon's credentials out of the environment, so that no program sees them that has no use for them.
images_amazon_keys() {
  amazon_access_key=${AWS_EXECUTOR_AMI_ACCESS_KEY-} amazon_secret_key=${AWS_EXECUTOR_AMI_SECRET_KEY-}
  if images_builds amazon-ebs; then
    images_amazon_key AWS_EXECUTOR_AMI_ACCESS_KEY
    images_amazon_key AWS_EXECUTOR_AMI_SECRET_KEY
    [[ -n $amazon_access_key && -n $amazon_secret_key || -z $amazon_access_key$amazon_secret_key ]] ||
      images_fail 'of AWS_EXECUTOR_AMI_ACCESS_KEY and AWS_EXECUTOR_AMI_SECRET_KEY one is empty: set both, or leave both empty'
  fi
  unset AWS_EXECUTOR_AMI_ACCESS_KEY AWS_EXECUTOR_AMI_SECRET_KEY
}

# images_amazon_key VARIABLE: ends unless it is set; its value, a secret, is not printed.
images_amazon_key() {
  [[ -n ${!1+set} ]] || images_fail "$1 is not set: want a key of Amazon's, or the empty string for the credentials that this machine has"
  [[ ${!1} =~ ^[A-Za-z0-9/+=]*$ ]] || images_fail "$1 has characters that no key of Amazon's has"
}

# images_find WORD: sets found, a file by its path, or by the name that Bazel gives it: its path below the folder of run files.
images_find() {
  local below
  for below in "$PWD" "${RUNFILES_DIR:-$0.runfiles}/_main"; do
    found=$below/$1
    if [[ $1 == /* ]]; then found=$1; fi
    if [[ -f $found ]]; then return; fi
  done
  images_fail "there is no file $1 among the run files; run this by Bazel, or see --help"
}

# images_regions FILE: sets regions, to which the image goes, and all_regions, where images of the family may be.
images_regions() {
  local text
  [[ -n $1 ]] || images_fail 'the argument --regions is missing; run this by Bazel, or see --help'
  images_find "$1"
  text=$(jq -e -r 'if type == "array" and length > 0 and all(type == "string" and test("^[a-z]{2}(-[a-z]+)+-[0-9]+$")) and length == (unique | length)
    then .[] else error("want a list of regions, each once") end' "$found" 2>&1) || images_fail "$1 is no list of Amazon's regions: $text"
  mapfile -t all_regions <<<"$text"
  [[ " ${all_regions[*]} " == *" $home "* ]] || images_fail "the region to build in, $home (EXECUTOR_AWS_REGION), is not in $1"
  # Where the image is made goes first: the others get it from there.
  regions=("$home")
  if $tagged; then
    for text in "${all_regions[@]}"; do [[ $text == "$home" ]] || regions+=("$text"); done
  fi
}

images_need_jq() { command -v jq >/dev/null || images_fail 'jq is not on PATH: install it (Debian: apt-get install jq; macOS: brew install jq)'; }

# images_need_tool PROGRAM ARG…: ends unless it runs here. A dry run does without.
images_need_tool() {
  local said
  if $images_dry_run; then return; fi
  said=$(timeout --kill-after=10 60 "$@" 2>&1 </dev/null) || images_fail "${1##*/} does not run here: ${said:-it said nothing}"
}

images_need_aws() {
  if $images_dry_run; then return; fi
  command -v aws >/dev/null ||
    images_fail 'aws is not on PATH: install the AWS CLI (https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html)'
  images_need_tool aws --version
}
