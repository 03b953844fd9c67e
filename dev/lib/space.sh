# shellcheck shell=bash
# Whether a run of dev/test has the room on disk that it needs, told before it begins: without it a check fails in the middle, and says anything.

# space_parts: the parts of a run, a line each: NAME, megabytes on a machine where it is not there yet, megabytes that it grows by where it is, and
# the directory, or a pattern of its name. Rounded up, of runs on Debian 12 with two cores: the second number on a machine that had run everything
# before, the first by the sizes that all this has after a run in a new clone.
space_parts() {
  local caches=$HOME/.cache bazel
  bazel=$caches/executor-bazel
  cat <<PARTS
temporary-files     500   500 ${TMPDIR:-/tmp}
machine-images     3000  3000 ${TMPDIR:-/tmp}
Docker             2000  2000 $(space_docker)
Go-modules         2500   200 $(go env GOMODCACHE)
Go-builds          5000  1000 $(go env GOCACHE)
Bazel              2600     0 $bazel/root-*
Bazel-outputs      7000  1000 $bazel/output/$(printf %s "$PWD" | md5sum | cut -d' ' -f1)
Bazel-disk-cache   7000  1500 $bazel/disk
Kubernetes         4000     0 $caches/open-executor/kubernetes
Debian-roots        600     0 $caches/open-executor/kernels
PARTS
}

# space_docker: where the engine has its images, or will.
space_docker() {
  local dir
  dir=$(timeout 10 docker info --format '{{.DockerRootDir}}' 2>/dev/null) || true
  printf '%s\n' "${dir:-/var/lib/docker}"
}

# space_of DIR: the number of the disk where DIR is or will be, its free megabytes, and where it is mounted.
space_of() {
  local dir=$1
  until [[ -e $dir ]]; do dir=$(dirname "$dir"); done
  printf '%s %s\n' "$(stat --format=%d -- "$dir")" "$(df --block-size=MB --output=avail,target -- "$dir" | sed -n '2s/MB / /p')"
}

# space_need PART…: says how much is free for these parts, all when none is named, and ends the run where that is less than they need together. Of what is
# not there yet the need is estimated: it ends the run where not even two thirds are free.
space_need() {
  local -A needed=() least=() free=() mounts=() parts=()
  local name new more sure dir disk avail mount ok=true
  while read -r name new more dir; do
    [[ $# == 0 || " $* " == *" $name "* ]] || continue
    sure=$more
    compgen -G "$dir" >/dev/null || more=$new sure=$((new * 2 / 3))
    read -r disk avail mount < <(space_of "$dir")
    # A disk may be mounted in several places.
    mounts[$disk]=${mounts[$disk]-$mount}
    free[$disk]=$avail
    needed[$disk]=$((${needed[$disk]-0} + more))
    least[$disk]=$((${least[$disk]-0} + sure))
    parts[$disk]+="${parts[$disk]+, }${name//-/ } $(space_shown "$more")"
  done < <(space_parts)
  for disk in "${!needed[@]}"; do
    mount=${mounts[$disk]}
    say "$(space_shown "${free[$disk]}") GB are free in $mount, this run needs $(space_shown "${needed[$disk]}")"
    ((free[$disk] >= needed[$disk])) && continue
    if ((free[$disk] >= least[$disk])); then
      say 'that may be too little'
      continue
    fi
    ok=false
    printf 'too little is free in %s for this run, which needs in GB: %s. What may go is in docs/build.md under "Disk".\n' "$mount" "${parts[$disk]}" >&2
  done
  $ok || exit 1
}

# space_shown MEGABYTES: in GB.
space_shown() { printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100)); }
