# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # dev/image_test and machine.sh set and use them
# Runs install.sh of the executor's image for real, in a container of a Debian root, by Packer's docker builder. Sourced by dev/image_test.

provision_image=

# provision_files [DIR]: puts what the image is made of into $scratch/stage, as _ami.build.sh stages it, and sets the programs of the boot test.
provision_files() {
  local stage=$scratch/stage from=${1-}
  mkdir -p "$stage/files"
  if [[ -z $from ]]; then
    say 'building the executor'
    dev/bazel build --output_groups=+tarball //deploy/packages/amd64:executor_deb //deploy/packages/amd64:executor-frontend_deb \
      //docker-images/executor-vm:image_tarball //cmd/registry-mirror
    from=$scratch/built
    mkdir "$from"
    cp -L bazel-bin/deploy/packages/amd64/executor_amd64.deb "$from/executor.deb"
    cp -L bazel-bin/docker-images/executor-vm/image_tarball/tarball.tar "$from/executor-vm.tar"
    dpkg-deb --fsys-tarfile bazel-bin/deploy/packages/amd64/executor-frontend_amd64.deb |
      tar --extract --to-stdout --wildcards '*usr/bin/executor-frontend' >"$from/frontend"
    chmod +x "$from/frontend"
    cp -L bazel-bin/cmd/registry-mirror/registry-mirror_/registry-mirror "$from/registry-mirror"
  fi
  cp "$from/executor.deb" "$from/executor-vm.tar" "$stage/files/"
  cp -r vm-image/install.sh vm-image/steps vm-image/first-boot vm-image/test/docker.pkr.hcl vm-image/test/twice.sh "$stage/"
  frontend_program=$from/frontend
  registry_mirror=$from/registry-mirror
  cloud_program=$scratch/cloud
  CGO_ENABLED=0 go build -o "$cloud_program" ./vm-image/test/cloud
}

# provision: makes the root of the machine, and sets machine_base.
provision() {
  # Named by nothing but this run, and forgotten with it.
  provision_image=machine-image-test:$$
  tar -C "$machine_base" -c . | docker import - "$provision_image" >/dev/null
  machine_base=$scratch/root
  refusals
  # What can't be had without the internet is left out, by name. Room for a whole root is where the clean one lies.
  (
    cd "$scratch/stage"
    PKR_VAR_image=$provision_image PKR_VAR_export_path=$scratch/root.tar \
      PKR_VAR_environment='["PLATFORM_TYPE=gcp","VERSION=test","LEAVE_OUT=firecracker src-cli","POWER_OFF_AT_END=true","METRICS_CIDR=10.0.0.0/8"]' \
      timeout 900 packer build -color=false docker.pkr.hcl </dev/null
  ) >"$scratch/packer.log" 2>&1 || {
    tail -n 60 "$scratch/packer.log" >&2
    fail 'install.sh, by Packer'
  }
  sed -n 's/^ *docker.image: \(== done in .*\|the second run .*\)/\1/p' "$scratch/packer.log"
  checks_passed=$((checks_passed + 1))
  mkdir "$machine_base"
  tar -C "$machine_base" -xf "$scratch/root.tar"
  rm "$scratch/root.tar" "$machine_base/.dockerenv"
  same 'what is left of the building' '' "$(ls -A "$machine_base/tmp")"
}

# refusals: install.sh says what is wrong with its options and files, and installs nothing for them.
refusals() {
  local stage=$scratch/refusals
  mkdir "$stage"
  cp -r "$scratch/stage/." "$stage"
  rm "$stage/files/executor-vm.tar"
  refuses 'PLATFORM_TYPE is "": it must be'
  refuses 'LEAVE_OUT has "kernel"' PLATFORM_TYPE=gcp LEAVE_OUT=kernel
  refuses 'POWER_OFF_AT_END is "yes": it must be true or false' POWER_OFF_AT_END=yes STEP=power-off
  refuses 'FIREWALL_ALLOW: "tcp:ssh" is not of the form' FIREWALL_ALLOW=tcp:ssh STEP=firewall
  refuses 'LOG_SHIPPING: there is no agent for PLATFORM_TYPE "qemu"' PLATFORM_TYPE=qemu LOG_SHIPPING=true STEP=log-shipping
}

# refuses PART NAME=VALUE…: install.sh with these options fails, with the part in what it says. STEP=NAME runs that step alone.
refuses() {
  local part=$1 said step='' pair options=()
  shift
  for pair in "$@"; do
    if [[ $pair == STEP=* ]]; then step=${pair#STEP=}; else options+=(--env "$pair"); fi
  done
  # shellcheck disable=SC2016 # the container's shell expands it
  if said=$(docker run --rm --network=none --volume "$stage:/stage:ro" "${options[@]}" --env STEP="$step" "$provision_image" bash -c '
    if [[ -z $STEP ]]; then exec bash /stage/install.sh; fi
    set -euo pipefail
    here=/stage
    source /stage/steps/run.sh
    packages() { :; }
    run_steps "/stage/steps/$STEP.sh"' 2>&1); then
    fail "install.sh takes $*: $said"
  fi
  contains "install.sh with $*" "$part" "$said"
}

provision_forget() {
  if [[ -n $provision_image ]]; then docker image rm --force "$provision_image" >/dev/null 2>&1 || true; fi
}
