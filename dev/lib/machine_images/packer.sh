# shellcheck shell=bash
# Calls of Packer, with every variable in the environment of that call alone.
# Whoever sources this sets packer and staging, and has called images_settings.
# shellcheck disable=SC2154

packer_running=''

# packer_version: sets packer_has_plugins, whether it fetches what plugins.pkr.hcl names (since 1.7).
packer_version() {
  local said
  packer_has_plugins=true
  if $images_dry_run; then return; fi
  said=$(timeout --kill-after=10 60 "$packer" version 2>&1 </dev/null) || images_fail "packer does not run here: ${said:-it said nothing}"
  [[ $said =~ v([0-9]+)\.([0-9]+)\. ]] || images_fail "packer says no version, but: ${said:0:300}"
  if ((BASH_REMATCH[1] == 1 && BASH_REMATCH[2] < 7)); then packer_has_plugins=false; fi
}

# packer_variables: sets variables, NAME=VALUE of what the templates declare without a default, and of what this run knows better.
packer_variables() {
  local list
  printf -v list '"%s",' "${regions[@]}"
  variables=(
    "PKR_VAR_name=$images_name" "PKR_VAR_image_family=$family" "PKR_VAR_tagged_release=$tagged" "PKR_VAR_arch=$architecture"
    "PKR_VAR_aws_region=$home" "PKR_VAR_aws_regions=[${list%,}]" "PKR_VAR_aws_max_attempts=${PKR_VAR_aws_max_attempts:-480}"
    "PKR_VAR_aws_poll_delay_seconds=${PKR_VAR_aws_poll_delay_seconds:-5}"
    "PKR_VAR_gcp_project=$gcp_project" "PKR_VAR_gcp_account_file=$account_file"
    "PKR_VAR_aws_access_key=$amazon_access_key" "PKR_VAR_aws_secret_key=$amazon_secret_key"
  )
}

# packer_only: sets only, the flag that chooses builders.
packer_only() {
  # What tries an AMI out makes none, so it is another one of Amazon's builders, amazon-ebsvolume.
  printf -v only '*%s*,' "${builders[@]}"
  only=-only=${only%,}
}

# packer_stop: asks a running Packer to stop, which makes it remove its machines, and waits.
packer_stop() {
  if [[ -z $packer_running ]]; then return 0; fi # in a trap, a mere "return" is the status of the end
  kill "$packer_running" 2>/dev/null || true
  wait "$packer_running" 2>/dev/null || true
  packer_running=''
}

# packer_run LIMIT COMMAND [ARG…]: Packer, for so many seconds at most; a Packer that is told to stop has ten minutes to clean up.
packer_run() {
  local limit=$1 status=0
  shift
  if $images_dry_run; then
    images_print packer "$@"
    return
  fi
  # By a shell of its own: arguments of programs can be seen by everybody, so none may have the variables among them.
  (
    export "${variables[@]}"
    # Relative paths of a local image are those of whoever typed the command.
    cd -- "${BUILD_WORKING_DIRECTORY:-$PWD}" || exit
    exec timeout --kill-after=600 "$limit" "$packer" "$@" </dev/null
  ) &
  packer_running=$!
  wait "$packer_running" || status=$?
  packer_running=''
  case $status in
    0) ;;
    124 | 137) images_fail "packer $1 did not end within $limit s (EXECUTOR_IMAGE_TIMEOUT): look for what it left in the cloud, and run this again, which replaces it" ;;
    *) images_fail "packer $1 failed ($status): what it printed says why; nothing was published, and running this again replaces what was built" ;;
  esac
}

# packer_images: checks both templates, makes the images, and tries them out.
packer_images() {
  local room
  packer_only
  for room in build verify; do
    if $packer_has_plugins; then packer_run 600 init "$staging/$room"; fi
  done
  for room in build verify; do packer_run 600 validate "$only" "$staging/$room"; done
  packer_run "$image_limit" build -force "$only" "$staging/build"
  packer_run "$image_limit" build -force "$only" "$staging/verify"
}
