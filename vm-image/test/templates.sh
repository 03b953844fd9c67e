# shellcheck shell=bash
# shellcheck disable=SC2154 # dev/image_test sets scratch
# The templates of both machine images as Packer sees them, without a cloud. Sourced by dev/image_test.

readonly required=(name image_family version src_cli_version tagged_release aws_regions)

# template FILE COMMAND… [-- NAME=VALUE…]: Packer over one template, in a folder with what it reads, and the required variables of both images
# but for those that follow the dashes, which win. "NAME=" alone leaves the
# variable out, and "NAME=EMPTY" is the empty string.
template() {
  local file=$1 folder=$scratch/template command=() assignments=() pair
  shift
  while (($# > 0)) && [[ $1 != -- ]]; do
    command+=("$1")
    shift
  done
  shift || true
  # What Packer reads lies beside a template.
  rm -rf "$folder"
  cp -r "$(dirname "$file")" "$folder"
  rm -f "$folder"/*.pkr.hcl
  cp -r vm-image/steps "$folder/"
  cp "$file" "$folder/"
  mkdir -p "$folder/files"
  local -A variables=(
    [name]=executors-nightly-7 [image_family]=executors-nightly [version]=5.3.0 [src_cli_version]=5.3.0 [tagged_release]=false
    [aws_regions]='["us-west-2"]'
  )
  for pair in "$@"; do variables[${pair%%=*}]=${pair#*=}; done
  for pair in "${!variables[@]}"; do
    if [[ -n ${variables[$pair]} ]]; then assignments+=("PKR_VAR_$pair=${variables[$pair]#EMPTY}"); fi
  done
  (cd "$folder" && env "${assignments[@]}" timeout 60 packer "${command[@]}" "$(basename "$file")" 2>&1)
}

# template_fails WHAT NAME FILE [NAME=VALUE…]: it is not valid, and the reason names the variable.
template_fails() {
  local what=$1 name=$2 file=$3 said
  shift 3
  if said=$(template "$file" validate -- "$@"); then fail "$file is valid with $what"; fi
  [[ $said == *"Variable $name must"* || $said == *"Unset variable \"$name\""* ]] || fail "$file with $what: the variable $name is not named in: $said"
  checks_passed=$((checks_passed + 1))
}

template_valid() {
  local file=$1 said
  said=$(template "$file" validate) || fail "$file: $said"
  said=$(packer fmt -check -diff "$file" 2>&1) || fail "packer fmt $file: $said"
  said=$(template "$file" inspect) || fail "packer inspect $file: $said"
  checks_passed=$((checks_passed + 3))
  # No value of a secret's variable is in what Packer prints.
  said=$(template "$file" inspect -- aws_secret_key=wJalrXUtnFEMI) || fail "packer inspect $file: $said"
  [[ $said != *wJalrXUtnFEMI* ]] || fail "packer inspect $file shows aws_secret_key"
  checks_passed=$((checks_passed + 1))
}

# template_wrong FILE: values that can't be right.
template_wrong() {
  local pair
  template_fails 'no regions' aws_regions "$1" 'aws_regions=[]'
  template_fails 'a wrong region' aws_regions "$1" 'aws_regions=["us-west-2", "mars"]'
  template_fails 'no region to build in' aws_region "$1" aws_region=EMPTY
  for pair in base=beos arch=mips name=-x- image_family=A_B disk_gib=1 qemu_accelerator=abacus gcp_zone=mars gcp_project=EMPTY aws_max_attempts=0; do
    template_fails "$pair" "${pair%%=*}" "$1" "$pair"
  done
}

# templates: all of them.
templates() {
  local name file
  for file in vm-image/executor.pkr.hcl vm-image/verify.pkr.hcl docker-mirror/docker-mirror.pkr.hcl docker-mirror/verify.pkr.hcl; do
    if [[ -e $file ]]; then template_valid "$file"; fi
  done
  for file in vm-image/plugins.pkr.hcl vm-image/test/docker.pkr.hcl; do holds "packer fmt $file" packer fmt -check -diff "$file"; done
  for name in "${required[@]}"; do template_fails "no $name" "$name" vm-image/executor.pkr.hcl "$name="; done
  template_wrong vm-image/executor.pkr.hcl
  template_fails 'a wrong network' metrics_cidr vm-image/executor.pkr.hcl metrics_cidr=10.0.0/8
  template_fails 'an unknown part' leave_out vm-image/executor.pkr.hcl 'leave_out=["kernel"]'
  template_fails 'no name' name vm-image/verify.pkr.hcl name=
  if [[ -e docker-mirror/docker-mirror.pkr.hcl ]]; then
    for name in name image_family tagged_release aws_regions; do template_fails "no $name" "$name" docker-mirror/docker-mirror.pkr.hcl "$name="; done
  fi
  same 'regions of a release' '' "$(jq --raw-output '.[]' vm-image/aws_regions.json | grep -Ev '^[a-z]{2}(-[a-z]+)+-[0-9]$')"
}
