# shellcheck shell=bash
# A Debian root with Bazel and its rules in it, for machines that reach a Debian mirror and the Go module proxy and nothing else.
# Sourced by dev/bazel, which sets workspace and cache.
# shellcheck disable=SC2154

# Debian's Bazel, the rules that it packages, and what rules and tests call. No recommended packages.
readonly root_packages=(
  bazel-bootstrap bazel-java-tools bazel-skylib bazel-features bazel-lib bazel-aspect-bazel-lib
  bazel-rules-license bazel-rules-pkg bazel-rules-python bazel-rules-shell bazel-stardoc
  busybox-static ca-certificates e2fsprogs git rpm xz-utils zstd
)
# Modules that Debian doesn't package come through the Go module proxy; versions as in MODULE.bazel.
readonly root_go_modules=(
  rules_go github.com/bazelbuild/rules_go
  gazelle github.com/bazelbuild/bazel-gazelle
)
readonly root_suite=testing

# module_version NAME: the version of a module in MODULE.bazel.
module_version() {
  sed -n "s/^bazel_dep(name = \"$1\", version = \"\\([^\"]*\\)\".*/\\1/p" "$workspace/MODULE.bazel"
}

# root_key: names a root by everything that goes into it, the commands that make it included.
root_key() {
  {
    printf '%s\n' "$root_suite" "${root_packages[@]}" "${root_go_modules[@]}"
    module_version rules_go
    module_version gazelle
    declare -f root_make
  } | sha256sum | cut -c1-12
}

# root_need: sees to it that the root is there, and sets root_dir. Safe to interrupt: a root gets its name when it is whole, and all
# that is mounted on the way lies in a mount namespace that ends with the run.
root_need() {
  root_dir=$cache/root-$(root_key)
  [[ -e $root_dir ]] && return
  need debootstrap debootstrap
  as_root mkdir -p "$cache"
  local lock
  exec {lock}>"$cache/root.lock"
  flock "$lock"
  if [[ ! -e $root_dir ]]; then
    say "making a Debian root with Bazel in $root_dir, once (a minute or two, 2.5 GB)"
    as_root rm -rf "$cache"/root-*.partial
    local began=$SECONDS
    as_root unshare --mount --propagation private -- bash -euo pipefail -c '
      cd "$1"; source dev/lib/packages.sh; source dev/lib/stages.sh
      workspace=$1 cache=$2
      source dev/lib/bazel_root.sh
      root_make "$3"
    ' bash "$workspace" "$cache" "$root_dir.partial" >"$cache/root.log" 2>&1 || {
      printf 'the root could not be made; the end of %s:\n' "$cache/root.log" >&2
      tail -n 20 "$cache/root.log" >&2
      exit 1
    }
    as_root mv "$root_dir.partial" "$root_dir"
    say "the root is there after $((SECONDS - began))s"
    forget_old "$root_dir" "$cache"/root-????????????
  fi
  exec {lock}>&-
}

# host_mirror: the Debian mirror of this machine's own apt, from what an update would fetch.
host_mirror() {
  local all
  all=$(apt-get update --print-uris | sed -n "s,^'\(.*/debian\)/dists/.*,\1,p")
  printf '%s\n' "${all%%$'\n'*}"
}

# root_make DIR: fills DIR. As root, in a mount namespace of its own.
root_make() {
  local dir=$1 mirror scripts=/usr/share/debootstrap/scripts
  mirror=$(host_mirror)
  [[ -n $mirror ]] || {
    echo "this machine's apt has no Debian mirror (apt-get update --print-uris shows none), of which the root is made" >&2
    return 1
  }
  # Releases newer than the host's debootstrap differ from sid in nothing that matters here.
  if [[ ! -e $scripts/$root_suite ]]; then ln -s sid "$scripts/$root_suite"; fi
  debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$root_suite" "$dir" "$mirror"
  cp -L /etc/resolv.conf /etc/hosts "$dir/etc/"
  mount --bind /proc "$dir/proc"
  chroot "$dir" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${root_packages[@]}"
  chroot "$dir" apt-get clean
  umount "$dir/proc"
  # Debian's rules_pkg 0.9.1 is older than Python 3.14, whose argparse refuses a bare % in a help text.
  sed -i "/help='/s/ %\\([a-z]\\)/ %%\\1/" "$dir/usr/share/bazel/rules/pkg/pkg/make_rpm.py"

  local i name source
  for ((i = 0; i < ${#root_go_modules[@]}; i += 2)); do
    name=${root_go_modules[i]}
    source=$(go mod download -json "${root_go_modules[i + 1]}@v$(module_version "$name")" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
    [[ -d $source ]] || { echo "the Go module proxy has no $name of that version" >&2; return 1; }
    cp -r "$source" "$dir/usr/share/bazel/rules/$name"
    # The module cache is read-only and keeps no run bits.
    chmod -R u+w "$dir/usr/share/bazel/rules/$name"
    find "$dir/usr/share/bazel/rules/$name" -name '*.sh' -exec chmod +x {} +
  done
  # Gazelle builds from a vendored tree, which its module zip leaves out; its tests name packages that are not there.
  cd "$dir/usr/share/bazel/rules/gazelle" || return
  rm -rf tests
  find . -name '*_test.go' -delete
  go mod vendor
}
