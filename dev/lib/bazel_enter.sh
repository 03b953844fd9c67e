# shellcheck shell=bash
# Runs Bazel inside the root that bazel_root.sh makes. Sourced by dev/bazel, which sets workspace, cache and here.
# shellcheck disable=SC2154

# Words that bazel takes before the command, such as --output_base=DIR.
startup=()

# Flags of every command that knows configurations.
configurations=(--config=offline)
case $(uname -m) in
  x86_64) configurations+=(--config=linux_amd64) ;;
  aarch64) configurations+=(--config=linux_arm64) ;;
esac

# offline [STARTUP…] COMMAND [ARG…]: Bazel in the root; a program that `run` names is run here, outside of it, where Docker is.
offline() {
  # Not among what the command prints, which may be read by a program.
  root_need >&2
  outputs_forget
  # .bazelrc names the packaged rules by this link; what lies behind it has the same path inside and outside.
  [[ $(readlink dev/offline/debian) == "$root_dir/usr/share/bazel" ]] ||
    ln -sfn "$root_dir/usr/share/bazel" dev/offline/debian
  while [[ ${1-} == -* ]]; do
    case $1 in
      # These may have their value as the next word, as target-determinator gives it.
      --output_base | --output_user_root | --bazelrc | --host_jvm_args | --max_idle_secs | --server_jvm_out | --failure_detail_out)
        startup+=("$1=${2-}")
        shift
        ;;
      *) startup+=("$1") ;;
    esac
    shift || true
  done
  local command=${1-help}
  shift || true
  case "$command $*" in
    # Debian's Bazel doesn't know its own release, and tools that ask take that for an old one.
    "info release")
      echo "release $(<"$root_dir/usr/share/bazel/build-label.txt")"
      return
      ;;
    "version "*)
      echo "Build label: $(<"$root_dir/usr/share/bazel/build-label.txt")"
      return
      ;;
  esac
  case $command in
    # These know no configuration.
    help | shutdown | clean | info | license) inside "$command" "$@" ;;
    run) run "$@" ;;
    *) inside "$command" "${configurations[@]}" "$@" ;;
  esac
}

# run [FLAG…] TARGET [-- ARG…]: builds in the root, runs here.
run() {
  local script status=0
  mkdir -p "$cache/run"
  script=$(mktemp "$cache/run/XXXXXXXX")
  # shellcheck disable=SC2064 # the name of now
  trap "rm -f '$script'" EXIT
  inside run "${configurations[@]}" --script_path="$script" "$@" || status=$?
  if ((status == 0)); then
    cd "$here" || exit
    BUILD_WORKING_DIRECTORY=$here BUILD_WORKSPACE_DIRECTORY=$workspace "$script" || status=$?
  fi
  exit "$status"
}

# inside WORD…: bazel WORD… in the root.
inside() {
  local go_root go_cache go_build_cache go_proxy go_sums git_dir binds
  { read -r go_root && read -r go_cache && read -r go_build_cache && read -r go_proxy && read -r go_sums; } \
    < <(go env GOROOT GOMODCACHE GOCACHE GOPROXY GOSUMDB)
  git_dir=$(git rev-parse --path-format=absolute --git-common-dir 2>/dev/null) || git_dir=$workspace/.git
  mkdir -p "$go_cache" "$go_build_cache" "$cache/output"
  # What is the same inside and outside has the same path, so that paths in messages, links and caches hold on both sides. The
  # Bazel server keeps its mounts while it lives: the directory around the workspace is one that outlives a fresh clone, and /run has
  # the socket of a Docker engine that starts later.
  binds=(/run "$workspace" "$cache" "$go_root" "$go_cache" "$go_build_cache")
  [[ $(dirname "$workspace") == / ]] || binds[1]=$(dirname "$workspace")
  [[ $git_dir == "$workspace"/* ]] || binds+=("$git_dir")
  [[ -z ${OCI_OFFLINE_IMAGES-} ]] || binds+=("$(realpath "$OCI_OFFLINE_IMAGES")")
  # --pid is not unshared: the Bazel server outlives this command, as it does anywhere.
  as_root unshare --mount --propagation private -- bash -euo pipefail -c '
    source "$1/dev/lib/bazel_enter.sh"
    shift
    enter "$@"
  ' bash "$workspace" "$root_dir" "${#binds[@]}" "${binds[@]}" \
    env -i HOME="$HOME" USER="${USER-root}" TERM="${TERM-dumb}" LANG=C.UTF-8 \
    PATH="$go_root/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    GOROOT="$go_root" GOMODCACHE="$go_cache" GOCACHE="$go_build_cache" GO_REPOSITORY_USE_HOST_CACHE=1 \
    GOPROXY="$go_proxy" GOSUMDB="$go_sums" GOTOOLCHAIN=local \
    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' \
    "${passed_on[@]}" \
    bash -c 'cd "$1" && shift && exec bazel "$@"' bash "$here" \
    --install_base="$root_dir/usr/share/bazel" --output_user_root="$cache/output" "${startup[@]}" "$@"
}

# What reaches Bazel of the environment: what dev/stamp_vars.sh reads besides git, where the Docker engine and Debian's mirror are.
passed_on=()
for name in BUILDKITE_BRANCH BUILDKITE_TAG VERSION DOCKER_HOST DOCKER_CERT_PATH DOCKER_TLS_VERIFY EXECUTOR_DEBIAN_MIRROR OCI_OFFLINE_IMAGES; do
  if [[ -n ${!name+set} ]]; then passed_on+=("$name=${!name}"); fi
done

# enter ROOT N DIR… COMMAND…: makes ROOT the root of this mount namespace, with the N directories of the host in it, and becomes the
# command. pivot_root, not chroot: in a chroot the kernel refuses the user namespaces that Bazel's sandbox is made of.
enter() {
  local root=$1 count=$2 dir
  shift 2
  mount --bind "$root" "$root"
  for dir in "${@:1:count}"; do
    mkdir -p "$root$dir"
    mount --bind "$dir" "$root$dir"
  done
  shift "$count"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  for dir in /etc/apt /etc/ssl/certs; do mount --bind -o ro "$dir" "$root$dir"; done
  cat /etc/resolv.conf >"$root/etc/resolv.conf"
  cd "$root" || exit
  pivot_root . mnt
  umount -l /mnt
  exec "$@"
}
