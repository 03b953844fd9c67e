# shellcheck shell=bash
# Makes a machine image: vm-image/_ami.build.sh and docker-mirror/_ami.build.sh call build_main. docs/release.md tells more.
# shellcheck disable=SC2154

build_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib/machine_images/settings.sh
source "$build_here/settings.sh"
# shellcheck source=dev/lib/machine_images/staging.sh
source "$build_here/staging.sh"
# shellcheck source=dev/lib/machine_images/packer.sh
source "$build_here/packer.sh"

# build_parse WORD…: sets gcloud, packer, regions_file, sources, and given, the files that a flag names: --NAME=FILE.
build_parse() {
  local -a positional=()
  local word name
  declare -gA given=()
  regions_file=''
  for word in "$@"; do
    case $word in
      --dry-run) images_dry_run=true ;;
      --regions=?*) regions_file=${word#*=} ;;
      -h | --help)
        usage
        exit 0
        ;;
      --*=?*)
        name=${word%%=*}
        [[ " ${build_flags[*]} " == *" ${name#--} "* ]] || images_fail "unknown flag $name; see --help"
        given[${name#--}]=${word#*=}
        ;;
      -*) images_fail "unknown flag $word; see --help" ;;
      *) positional+=("$word") ;;
    esac
  done
  ((${#positional[@]} > 2)) || images_fail 'want the arguments gcloud, packer and the files of the image; run this by Bazel, or see --help'
  images_find "${positional[0]}"
  gcloud=$found
  images_find "${positional[1]}"
  packer=$found
  sources=("${positional[@]:2}")
}

# build_given NAME: sets found, the file that a flag names.
build_given() {
  [[ -n ${given[$1]-} ]] || images_fail "the argument --$1 is missing; run this by Bazel, or see --help"
  images_find "${given[$1]}"
}

build_settings() {
  images_settings
  architecture=${EXECUTOR_IMAGE_ARCH:-amd64}
  [[ $architecture == amd64 || $architecture == arm64 ]] || images_fail "EXECUTOR_IMAGE_ARCH is \"$architecture\": want amd64 or arm64"
  # A limit of Packer itself; a step of CI has one too.
  image_limit=$(images_number EXECUTOR_IMAGE_TIMEOUT 10800) || exit 1
  key_secret=${EXECUTOR_GCP_KEY_SECRET-e2e-builder-sa-key}
  key_project=${EXECUTOR_GCP_SECRET_PROJECT:-$gcp_project}
}

# build_account: sets account_file, Google's key for Packer, fetched into a file that nobody else may read. Empty: the credentials of this machine.
build_account() {
  account_file=''
  if ! images_builds googlecompute || [[ -z $key_secret ]]; then return; fi
  account_file=$staging/builder-sa-key.json
  local -a command=("$gcloud" secrets versions access latest "--secret=$key_secret" "--project=$key_project" --quiet)
  if $images_dry_run; then
    printf '+%s >%q\n' "$(printf ' %q' "${command[@]}")" "$account_file"
    return
  fi
  images_say "fetching the key $key_secret of $key_project"
  (umask 077 && : >"$account_file")
  # What it prints on stdout is the key, and on stderr never.
  timeout --kill-after=10 120 "${command[@]}" >"$account_file" </dev/null ||
    images_fail "the secret $key_secret of $key_project could not be read (EXECUTOR_GCP_KEY_SECRET; empty means this machine's own credentials)"
  jq -e -n 'input | type == "object" and (.type | type) == "string"' "$account_file" >/dev/null 2>&1 ||
    images_fail "the secret $key_secret of $key_project is no key of a service account: want JSON with a type"
}

build_stage() {
  if $images_dry_run; then
    printf '# a folder of this run: %s\n' "$staging"
    printf '# in it: %s\n' "${sources[@]#*/}"
  else
    mkdir -- "$staging/build"
    staging_sources "${sources[@]}"
    staging_take "$regions_file" aws_regions.json
  fi
  build_files
  build_more
  if $images_dry_run; then return; fi
  staging_finish
  staging_sound
}

# build_put FLAG NAME: the file that a flag names becomes NAME.
build_put() {
  build_given "$1"
  if $images_dry_run; then
    printf '# in it: %s, from %s\n' "$2" "${given[$1]}"
  else
    staging_take "${given[$1]}" "$2"
  fi
}

# build_more: further files for files/, of a folder of the operator's: what the steps would download otherwise.
build_more() {
  local folder=${EXECUTOR_IMAGE_FILES-} file
  if [[ -z $folder ]]; then return; fi
  [[ $folder == /* && -d $folder ]] || images_fail "EXECUTOR_IMAGE_FILES is \"$folder\": want the absolute path of a folder"
  for file in "$folder"/*; do
    [[ -f $file ]] || images_fail "$file (EXECUTOR_IMAGE_FILES) is no file"
    if $images_dry_run; then
      printf '# in it: files/%s, from %s\n' "${file##*/}" "$folder"
      continue
    fi
    [[ ! -e $staging/build/files/${file##*/} ]] || images_fail "$file (EXECUTOR_IMAGE_FILES) would hide another file of the same name"
    staging_take "$file" "files/${file##*/}"
  done
}

build_end() {
  packer_stop
  if ! $images_dry_run; then rm -rf -- "$staging"; fi
}

# build_main WORD…: the caller has set build_flags, and defines usage, build_want (its own variables; adds to variables) and build_files (files
# besides the sources).
build_main() {
  build_parse "$@"
  build_settings
  images_need_jq
  images_regions "$regions_file"
  build_want
  staging=STAGING
  if images_builds googlecompute && [[ -n $key_secret ]]; then images_need_tool "$gcloud" version; fi
  packer_version
  if ! $images_dry_run; then
    staging=$(mktemp -d)
    trap build_end EXIT
    trap 'exit 130' INT TERM
  fi
  build_stage
  build_account
  packer_variables
  build_variables
  packer_images
  $images_dry_run || printf '%s: %s is built and was tried out: %s\n' "$images_program" "$images_name" "${builders[*]}"
}
