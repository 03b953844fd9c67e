# shellcheck shell=bash
# An image at Google: whether it is there, who may use it, its family, and the older images of the family.
# Whoever sources this sets gcloud, and has called images_settings.
# shellcheck disable=SC2154

google_settings() {
  google_member=${EXECUTOR_GCP_IMAGE_MEMBER:-allAuthenticatedUsers}
  [[ $google_member =~ ^(allAuthenticatedUsers|allUsers|(user|group|serviceAccount|domain):[A-Za-z0-9@._-]+)$ ]] ||
    images_fail "EXECUTOR_GCP_IMAGE_MEMBER is \"$google_member\": want allAuthenticatedUsers, or one such as group:people@example.com"
}

# google COMMAND ARG…: sets google_command, a call about images of the project.
google() { google_command=("$gcloud" compute images "$@" "--project=$gcp_project" --quiet); }

# google_found: sets google_family and google_created of the image. Ends unless it is there, whole.
google_found() {
  google describe "$images_name" --format=json
  if $images_dry_run; then
    images_print "${google_command[@]}"
    google_family='' google_created=-
    return
  fi
  calls_read "looking for the image $images_name in $gcp_project" "
    if type != \"object\" or .name != \"$images_name\" then error(\"not the image $images_name\")
    elif (.status | test(\"^[A-Z]+\$\") | not) or (.creationTimestamp | test(\"^[0-9T:.Z+-]+\$\") | not) then error(\"no image\")
    else \"\\(.status) \\(.creationTimestamp) \\(.family // \"\")\" end" "${google_command[@]}"
  local status
  read -r status google_created google_family <<<"$answer"
  [[ $status == READY ]] || images_fail "the image $images_name in $gcp_project is $status, not READY: wait for it, or build it again"
}

google_check() {
  report gcp 'untouched: the image was not looked for yet'
  google_found
  report gcp "the image is READY, not published by this run; its family: ${google_family:-none}"
}

# google_may_use: sets granted, whether the member may use the image.
google_may_use() {
  granted=false
  google get-iam-policy "$images_name" --format=json
  if $images_dry_run; then
    images_print "${google_command[@]}"
    return
  fi
  calls_read "reading who may use $images_name in $gcp_project" "
    if type != \"object\" then error(\"no policy\")
    else any(.bindings[]?; .role == \"roles/compute.imageUser\" and .condition == null and any(.members[]?; . == \"$google_member\")) | tostring end" \
    "${google_command[@]}"
  granted=$answer
}

# google_publish: who may use the image, then its family: whoever asks for the newest of the family must be able to use it.
google_publish() {
  google_may_use
  if ! $granted; then
    report gcp "the image is READY; not known whether $google_member may use it; its family: ${google_family:-none}"
    google add-iam-policy-binding "$images_name" "--member=$google_member" --role=roles/compute.imageUser --format=json
    calls_change "letting $google_member use $images_name in $gcp_project" "${google_command[@]}"
    google_may_use
    $granted || $images_dry_run || images_fail "$google_member may still not use $images_name in $gcp_project"
  fi
  report gcp "$google_member may use the image; its family: ${google_family:-none}"
  if [[ $google_family != "$family" ]]; then
    report gcp "$google_member may use the image; not known whether it is in its family"
    google update "$images_name" "--family=$family"
    calls_change "putting $images_name into the family $family" "${google_command[@]}"
    google_found
    [[ $google_family == "$family" ]] || $images_dry_run || images_fail "$images_name in $gcp_project is still not in the family $family"
  fi
  report gcp "$google_member may use the image, and it is in the family $family"
}

# google_old: nightly images before this one are deprecated, with the dates of their end, and go when that has come. The newest stay, and so do
# releases, which the template labels.
google_old() {
  local name made state
  if $tagged; then return; fi
  google list --no-standard-images --show-deprecated "--filter=family=$family" --format=json
  if $images_dry_run; then
    images_print "${google_command[@]}"
    echo "# for each but $images_name:"
    google_deprecate IMAGE 0
    echo "# for each but the newest $keep that is older than $keep_days days:"
    google delete IMAGE
    images_print "${google_command[@]}"
    return
  fi
  # The time of day is that of the project's region, so it can't be compared as text.
  calls_read "looking for older images of $family in $gcp_project" "
    def seconds: capture(\"^(?<t>[0-9-]{10}T[0-9:]{8})([.][0-9]+)?(?<z>Z|[+-][0-9]{2}:[0-9]{2})\$\")
      | ((.t + \"Z\") | fromdateiso8601) - (if .z == \"Z\" then 0 else ((.z[0:1] + \"1\") | tonumber) * ((.z[1:3] | tonumber) * 3600 + (.z[4:6] | tonumber) * 60) end);
    if type != \"array\" then error(\"no list of images\") else
      (\"$google_created\" | seconds) as \$ours
      | [.[] | select((.name | test(\"^$family-[0-9]+\$\")) and .family == \"$family\" and .labels.release != \"true\") | {name, made: (.creationTimestamp | seconds), state: (.deprecated.state // \"ACTIVE\")}]
      | sort_by(-.made) | \"of \\(length)\", (to_entries[]
        | select(.value.made < \$ours) | \"\\(.value.name) \\(.value.made) \\(if .key < $keep then \"kept-\" else \"\" end)\\(.value.state)\") end" \
    "${google_command[@]}"
  local cutoff
  cutoff=$(($(date -u +%s) - keep_days * 86400))
  while read -r name made state; do
    if ((made < cutoff)) && [[ $state != kept-* ]]; then
      google delete "$name"
      calls_change "deleting the old image $name in $gcp_project" "${google_command[@]}"
    elif [[ $state == *ACTIVE ]]; then
      google_deprecate "$name" "$made"
    fi
  done < <(tail -n +2 <<<"$answer")
}

# google_deprecate IMAGE SECONDS: with the dates of what comes next, counted from when it was made. Google only shows them: it deletes nothing.
google_deprecate() {
  local obsolete=OBSOLETE-DATE deleted=DELETE-DATE
  if ! $images_dry_run; then
    obsolete=$(date -u -d "@$(($2 + keep_days * 43200))" +%Y-%m-%dT%H:%M:%SZ)
    deleted=$(date -u -d "@$(($2 + keep_days * 86400))" +%Y-%m-%dT%H:%M:%SZ)
  fi
  google deprecate "$1" --state=DEPRECATED "--replacement=$images_name" "--obsolete-on=$obsolete" "--delete-on=$deleted"
  calls_change "deprecating $1 in $gcp_project" "${google_command[@]}"
}
