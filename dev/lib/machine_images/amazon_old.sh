# shellcheck shell=bash
# Nightly images at Amazon that are past their time, and their snapshots, in every region.
# shellcheck disable=SC2154

# By this tag the template marks what is no release: only that is ever removed.
readonly amazon_mark=Amazon_AMI_Management_Identifier
# By this one a run knows the snapshots whose image went before they could.
readonly amazon_retired=executor-retired-image

# amazon_prune: removes them. Releases have no mark, and the newest images of a family stay, however old they are.
amazon_prune() {
  local region
  if $tagged; then return; fi
  for region in "${all_regions[@]}"; do
    amazon_old "$region"
    amazon_sweep "$region"
  done
}

# amazon_old REGION: deregisters old images. Their snapshots are marked first: they can go only after their image, and nothing else tells then
# whose they were.
amazon_old() {
  local region=$1 cutoff image snapshots
  local -a command=(aws ec2 describe-images --region "$region" --owners self --filters "Name=tag:$amazon_mark,Values=$family" --output json)
  local -a old=() ids=()
  if $images_dry_run; then
    images_print "${command[@]}"
    echo "# for each but the newest $keep that is older than $keep_days days:"
    images_print aws ec2 create-tags --region "$region" --resources SNAPSHOT-IDS --tags "Key=$amazon_retired,Value=$family"
    amazon_retired "$region"
    images_print aws ec2 deregister-image --region "$region" --image-id AMI-ID
    return
  fi
  cutoff=$(($(date -u +%s) - keep_days * 86400))
  calls_read "looking for old images in $region" "
    if (.Images | type) != \"array\" then error(\"no list of images\") else
      [.Images[] | select((.Name | test(\"^$family-[0-9]+\$\")) and any(.Tags[]?; .Key == \"$amazon_mark\" and .Value == \"$family\"))
        | {ImageId, Name, made: (.CreationDate | sub(\"[.][0-9]+Z\$\"; \"Z\") | fromdateiso8601), snapshots: [.BlockDeviceMappings[]?.Ebs.SnapshotId // empty]}]
      | \"of \\(length)\", (sort_by(-.made) | .[$keep:][] | select(.made < $cutoff and .Name != \"$images_name\") | \"\\(.ImageId) \\(.snapshots | join(\" \"))\") end" \
    "${command[@]}"
  while read -r image snapshots; do
    old+=("$image")
    # shellcheck disable=SC2206 # words
    ids+=($snapshots)
  done < <(tail -n +2 <<<"$answer")
  if ((${#ids[@]} > 0)); then
    calls_change "marking the snapshots of old images in $region" aws ec2 create-tags --region "$region" --resources "${ids[@]}" \
      --tags "Key=$amazon_retired,Value=$family"
    amazon_retired "$region" "${ids[@]}"
  fi
  for image in "${old[@]}"; do
    report "old in $region" "$image: not known whether it is still there"
    calls_change "deregistering $image in $region" aws ec2 deregister-image --region "$region" --image-id "$image"
    report "old in $region" "$image is gone, its snapshots are still there"
  done
}

# amazon_retired REGION ID…: sets retired, the snapshots that are marked. Ends unless all these are among them.
amazon_retired() {
  local region=$1 wanted
  shift
  local -a command=(aws ec2 describe-snapshots --region "$region" --owner-ids self --filters "Name=tag:$amazon_retired,Values=$family" --output json)
  retired=()
  if $images_dry_run; then
    images_print "${command[@]}"
    return
  fi
  printf -v wanted '"%s",' "$@"
  if (($# == 0)); then wanted=''; fi
  calls_read "looking for snapshots of old images in $region" "
    if (.Snapshots | type) != \"array\" then error(\"no list of snapshots\")
    elif any(.Snapshots[]; .SnapshotId | test(\"^snap-[0-9a-f]+\$\") | not) then error(\"no id of a snapshot\")
    elif [${wanted%,}] - [.Snapshots[].SnapshotId] != [] then error(\"not all are marked\")
    else \"of \\(.Snapshots | length)\", .Snapshots[].SnapshotId end" "${command[@]}"
  mapfile -t retired < <(tail -n +2 <<<"$answer")
}

# amazon_sweep REGION: deletes the snapshots of images that are gone, those of earlier runs included.
amazon_sweep() {
  local region=$1 snapshot
  amazon_retired "$region"
  if $images_dry_run; then
    echo '# for each:'
    images_print aws ec2 delete-snapshot --region "$region" --snapshot-id SNAPSHOT-ID
    return
  fi
  for snapshot in "${retired[@]}"; do
    calls_change "deleting $snapshot in $region" aws ec2 delete-snapshot --region "$region" --snapshot-id "$snapshot"
  done
  if [[ -n ${report_of["old in $region"]-} ]]; then report "old in $region" 'what was old is gone'; fi
}
