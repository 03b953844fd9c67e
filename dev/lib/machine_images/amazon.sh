# shellcheck shell=bash
# An image at Amazon: in which regions it is, its copies, who may use it, and when it goes.
# Whoever sources this has called images_settings and images_regions.
# shellcheck disable=SC2154

declare -A amazon_id=() amazon_state=() amazon_public=() amazon_deprecation=() amazon_created=()

amazon_settings() {
  copy_limit=$(images_number EXECUTOR_IMAGE_COPY_TIMEOUT 2700) || exit 1
  keep_days=$(images_number EXECUTOR_IMAGE_KEEP_DAYS 60) || exit 1
  release_days=$(images_number EXECUTOR_IMAGE_RELEASE_DAYS 730) || exit 1
  # Amazon's programs take them from here and from nowhere else where they are set.
  if [[ -n $amazon_access_key ]]; then export AWS_ACCESS_KEY_ID=$amazon_access_key AWS_SECRET_ACCESS_KEY=$amazon_secret_key; fi
}

# amazon_find REGION: what is known of the image there; its id is empty when there is none. Two of the name are one too many.
amazon_find() {
  local region=$1
  local -a command=(aws ec2 describe-images --region "$region" --owners self --filters "Name=name,Values=$images_name" --output json)
  if $images_dry_run; then
    images_print "${command[@]}"
    amazon_id[$region]=AMI-OF-$region amazon_state[$region]=available amazon_public[$region]=false amazon_deprecation[$region]=- amazon_created[$region]=-
    return
  fi
  calls_read "looking for $images_name in $region" '
    if (.Images | type) != "array" then error("no list of images")
    elif (.Images | length) > 1 then "several " + ([.Images[].ImageId] | join(","))
    elif (.Images | length) == 0 then "none"
    else .Images[0] | if (.ImageId | test("^ami-[0-9a-f]+$")) and (.State | test("^[a-z]+$")) and (.Public | type) == "boolean"
        and (.CreationDate | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T")) and (.DeprecationTime == null or (.DeprecationTime | test("^[0-9]{4}-[0-9:T-]+")))
      then "\(.ImageId) \(.State) \(.Public) \(.CreationDate) \(.DeprecationTime // "-")" else error("no image") end end' "${command[@]}"
  amazon_id[$region]=''
  case $answer in
    none) return ;;
    several*) images_fail "$region has more than one AMI $images_name (${answer#* }), and only one can be meant: deregister the others" ;;
  esac
  # shellcheck disable=SC2034 # elements of what is declared above
  read -r "amazon_id[$region]" "amazon_state[$region]" "amazon_public[$region]" "amazon_created[$region]" "amazon_deprecation[$region]" <<<"$answer"
  amazon_report "$region"
}

amazon_report() {
  local what="${amazon_id[$1]} is ${amazon_state[$1]}, private"
  if [[ ${amazon_public[$1]} == true ]]; then what="${amazon_id[$1]} is ${amazon_state[$1]}, public"; fi
  report "$1" "$what"
}

# amazon_check: the image is where it was made, and wherever else it is, it is whole or on its way there.
amazon_check() {
  local region
  for region in "${regions[@]}"; do
    report "$region" 'untouched: no such AMI was looked for yet'
    amazon_find "$region"
    if [[ -z ${amazon_id[$region]} ]]; then
      [[ $region != "$home" ]] ||
        images_fail "no AMI $images_name of this account is in $home: ami.build of build $BUILDKITE_BUILD_NUMBER has not made it, or these are other credentials"
      report "$region" 'no such AMI'
      continue
    fi
    amazon_sound "$region"
  done
  amazon_dates
}

# amazon_sound REGION: ends unless the image there is available, or will be.
amazon_sound() {
  case ${amazon_state[$1]} in
    available | pending) ;;
    *) images_fail "${amazon_id[$1]} in $1 is ${amazon_state[$1]}: deregister it (aws ec2 deregister-image --region $1 --image-id ${amazon_id[$1]}) and run this again" ;;
  esac
}

# amazon_dates: sets deprecate_at, to the minute, as Amazon keeps it. It depends on the image alone, so that a second run finds what the first one set.
amazon_dates() {
  local days=$keep_days created now
  if $tagged; then days=$release_days; fi
  deprecate_at=DEPRECATION-DATE
  if $images_dry_run; then return; fi
  created=$(date -u -d "${amazon_created[$home]}" +%s) && now=$(date -u +%s) || images_fail "the date of $images_name, ${amazon_created[$home]}, is none"
  created=$((created - created % 60 + days * 86400))
  ((created > now)) || images_fail "$images_name was made on ${amazon_created[$home]}, more than $days days ago: build it again"
  deprecate_at=$(date -u -d "@$created" +%Y-%m-%dT%H:%M:%SZ)
}

# amazon_copy: starts what copies are missing. Copies of a second run that meets those of a first one are the same ones: by their name, and by
# the token for as long as the name can't be found yet.
amazon_copy() {
  local region token what
  for region in "${regions[@]}"; do
    if [[ $region == "$home" ]]; then continue; fi
    if [[ -n ${amazon_id[$region]} ]] && ! $images_dry_run; then continue; fi
    token=$(printf '%s\n' "$images_name" "$region" "${amazon_id[$home]}" | sha256sum | cut -c1-64)
    what="copying $images_name to $region"
    report "$region" 'a copy was asked for: not known whether it was begun'
    if $images_dry_run; then echo "# unless $images_name is in $region:"; fi
    calls_change "$what" aws ec2 copy-image --region "$region" --source-region "$home" --source-image-id "${amazon_id[$home]}" \
      --name "$images_name" --client-token "$token" --copy-image-tags --output json
    if $images_dry_run; then continue; fi
    amazon_id[$region]=$(jq -e -r '.ImageId | select(test("^ami-[0-9a-f]+$"))' "$scratch/answer" 2>/dev/null) && [[ -n ${amazon_id[$region]} ]] ||
      images_fail "$what: it began no copy, but answered $(head -c 300 "$scratch/answer")"
    amazon_state[$region]=pending
    report "$region" "${amazon_id[$region]} is being copied, private"
  done
}

# amazon_wait: until the image is available everywhere, by its name.
amazon_wait() {
  local began=$SECONDS region waiting=true
  if $images_dry_run; then return; fi
  while $waiting; do
    waiting=false
    for region in "${regions[@]}"; do
      if [[ ${amazon_state[$region]} == available ]]; then continue; fi
      amazon_find "$region"
      # What was just begun may not be found at once.
      if [[ -n ${amazon_id[$region]} ]]; then amazon_sound "$region"; else amazon_state[$region]=pending; fi
      if [[ ${amazon_state[$region]} != available ]]; then waiting=true; fi
    done
    if ! $waiting; then return; fi
    ((SECONDS - began < copy_limit)) || images_fail "not everywhere is $images_name available after $copy_limit s (EXECUTOR_IMAGE_COPY_TIMEOUT)"
    sleep "$calls_pause"
  done
}

# amazon_publish: everybody may use the image, in every region, and knows until when.
amazon_publish() {
  local region
  for region in "${regions[@]}"; do
    if [[ ${amazon_public[$region]} != true ]]; then
      report "$region" "${amazon_id[$region]} is available; not known whether it is public"
      calls_change "making ${amazon_id[$region]} public in $region" aws ec2 modify-image-attribute --region "$region" \
        --image-id "${amazon_id[$region]}" --launch-permission 'Add=[{Group=all}]'
    fi
    if [[ ${amazon_deprecation[$region]:0:16} != "${deprecate_at:0:16}" ]]; then
      calls_change "dating the deprecation of ${amazon_id[$region]} in $region" aws ec2 enable-image-deprecation --region "$region" \
        --image-id "${amazon_id[$region]}" --deprecate-at "$deprecate_at" --output json
    fi
    amazon_confirm "$region"
  done
}

# amazon_confirm REGION: ends unless the image is what it was made. It may take a moment until it can be seen.
amazon_confirm() {
  local -a command=(aws ec2 describe-images --region "$1" --image-ids "${amazon_id[$1]}" --output json)
  if $images_dry_run; then
    images_print "${command[@]}"
    return
  fi
  calls_read "seeing whether ${amazon_id[$1]} is public in $1" "
    if (.Images | type) != \"array\" or (.Images | length) != 1 then error(\"not one image\")
    elif .Images[0].Public != true then error(\"it is not public\")
    elif .Images[0].DeprecationTime[0:16] != \"${deprecate_at:0:16}\" then error(\"it is not dated \\(\"${deprecate_at:0:16}\")\")
    else true end" "${command[@]}"
  amazon_public[$1]=true
  report "$1" "${amazon_id[$1]} is public"
}
