# shellcheck shell=bash
# What a cluster is made of that must be built: the program with all parts of Kubernetes, and the images that it can't do without. Each is built once
# and stays below $cache/kubernetes. Sourced by dev/cluster.
# shellcheck disable=SC2154

# components_need: sees to it that the program is there, and sets components. Safe to interrupt, and safe beside another.
components_need() {
  local source=dev/kubernetes/components key lock began=$SECONDS making version flags='-s -w'
  # What it says of itself to clients, who look at it.
  version=$(sed -n 's/^require k8s.io\/kubernetes //p' "$source/go.mod")
  [[ $version =~ ^v([0-9]+)\.([0-9]+)\.[0-9]+$ ]] || { echo "$source/go.mod requires no version of k8s.io/kubernetes" >&2; return 1; }
  flags+=" -X k8s.io/component-base/version.gitVersion=$version"
  flags+=" -X k8s.io/component-base/version.gitMajor=${BASH_REMATCH[1]} -X k8s.io/component-base/version.gitMinor=${BASH_REMATCH[2]}"
  key=$({ go version && echo "$flags" && cat "$source"/go.mod "$source"/go.sum "$source"/*.go; } | sha256sum | cut -c1-12)
  components=$cache/kubernetes/$key/components
  [[ ! -x $components ]] || return 0
  mkdir -p "$cache/kubernetes"
  exec {lock}>"$cache/kubernetes/build.lock"
  flock "$lock"
  if [[ ! -x $components ]]; then
    printf 'building Kubernetes in %s, once (4 to 12 minutes; needs 4 GB of disk meanwhile, keeps 0.14)\n' "${components%/*}"
    rm -rf -- "$cache"/kubernetes/making-*
    making=$(mktemp -d "$cache/kubernetes/making-XXXXXX")
    # A build cache of its own: nothing else wants these 3 GB again.
    if ! (cd "$source" && GOCACHE=$making/cache CGO_ENABLED=0 GOFLAGS='' timeout 1800 nice -n 10 \
      go build -p 2 -trimpath -ldflags "$flags" -o "$making/key/components" .); then
      rm -rf -- "$making"
      return 1
    fi
    mv -T "$making/key" "${components%/*}"
    rm -rf -- "$making"
    printf 'built after %ds\n' $((SECONDS - began))
  fi
  exec {lock}>&-
}

# images_need: sees to it that the archives of the images are there: the one that holds the namespaces of a pod, and the one that tests use.
# Sets pause_image, test_image and image_archives.
images_need() {
  local busybox key root
  busybox=$(command -v busybox)
  key=$(sha256sum "$busybox" | cut -c1-12)
  test_image=open-executor-test/busybox:$key pause_image=open-executor-test/pause:$key
  image_archives=("$cache/kubernetes/images/busybox-$key.tar" "$cache/kubernetes/images/pause-$key.tar")
  [[ ! -e ${image_archives[0]} || ! -e ${image_archives[1]} ]] || return 0
  mkdir -p "$cache/kubernetes/images"
  root=$(mktemp -d "$cache/kubernetes/images/making-XXXXXX")
  mkdir -p "$root"/{bin,etc,tmp,root}
  chmod 0755 "$root"
  chmod 1777 "$root/tmp"
  cp "$busybox" "$root/bin/busybox"
  "$busybox" --list | grep -vx busybox | sed "s,^,$root/bin/," | xargs -n1 ln -s busybox
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\n' >"$root/etc/group"
  go run ./dev/kubernetes/imagearchive -name "$test_image" -out "${image_archives[0]}" -cmd /bin/sh "$root" &&
    go run ./dev/kubernetes/imagearchive -name "$pause_image" -out "${image_archives[1]}" -entrypoint '/bin/sleep 2147483647' "$root" || {
    rm -rf -- "$root"
    return 1
  }
  rm -rf -- "$root"
}

# images_load FILE…: gives each node the images of archives, as "docker save" and imagearchive write them.
images_load() {
  local node file
  for file in "$@"; do
    for node in $(nodes); do
      # The file may lie where a node has another file system.
      in_node "$node" ctr --namespace k8s.io images import - <"$file" >>"$dir/log/$node/images.log" 2>&1 || {
        printf 'dev/cluster: %s can not be loaded on %s; the end of %s:\n' "$file" "$node" "$dir/log/$node/images.log" >&2
        tail -n 5 "$dir/log/$node/images.log" >&2
        return 1
      }
    done
  done
}
