# shellcheck shell=bash
# shellcheck disable=SC2154 # packages.sh sets root
# The cluster for tests of the Kubernetes runtime (dev/cluster), and the images that its pods are made from. Sourced after dev/lib/packages.sh.

pods_started=false

# pods_need DIR: starts the cluster, of two nodes, unless one is up, gives it three images, which are made in DIR, and exports what tests must know:
# EXECUTOR_TEST_HELPER_IMAGE begins the pods of jobs, EXECUTOR_TEST_OTHER_IMAGE is one more for steps, and EXECUTOR_TEST_EXECUTOR_IMAGE is for executors
# that are pods.
pods_need() {
  if ! "${root[@]}" dev/cluster status >/dev/null 2>&1; then
    pods_started=true
    "${root[@]}" env EXECUTOR_CLUSTER_NODES="${EXECUTOR_CLUSTER_NODES:-2}" dev/cluster up || return 1
  fi
  pods_helper "$1/helper" && pods_other "$1/other" && pods_executor "$1/executor" "$1/helper" || return 1
  "${root[@]}" dev/cluster load "$1"/{helper,other,executor}.tar || return 1
  export EXECUTOR_TEST_HELPER_IMAGE EXECUTOR_TEST_OTHER_IMAGE EXECUTOR_TEST_EXECUTOR_IMAGE
  eval "$("${root[@]}" dev/cluster env)"
}

# sum_of FILE…: what names the image that they are in.
sum_of() { sha256sum "$@" | cut -d' ' -f1 | sha256sum | cut -c1-12; }

pods_helper() {
  mkdir -p "$1"/{usr/local/bin,tmp}
  CGO_ENABLED=0 go build -ldflags '-s -w' -o "$1/usr/local/bin/podagent" ./cmd/podagent || return 1
  EXECUTOR_TEST_HELPER_IMAGE=open-executor-test/helper:$(sum_of "$1/usr/local/bin/podagent")
  go run ./dev/kubernetes/imagearchive -name "$EXECUTOR_TEST_HELPER_IMAGE" -out "$1.tar" "$1"
}

pods_other() {
  need busybox busybox-static
  mkdir -p "$1"/{bin,tmp}
  cp "$(command -v busybox)" "$1/bin/busybox"
  busybox --list | sed '/^busybox$/d' | xargs -I{} ln -sf busybox "$1/bin/{}"
  : >"$1/other"
  EXECUTOR_TEST_OTHER_IMAGE=open-executor-test/other:$(sum_of "$1/bin/busybox")
  go run ./dev/kubernetes/imagearchive -name "$EXECUTOR_TEST_OTHER_IMAGE" -out "$1.tar" "$1"
}

# pods_executor DIR HELPER: an image like executor-kubernetes, of this machine's git and tini with the libraries that they load. What it is packed into is kept,
# by what is in it.
pods_executor() {
  local files key archive kept=${XDG_CACHE_HOME:-$HOME/.cache}/open-executor/kubernetes/executors
  need git git
  need tini tini
  # A clone runs the remote helper of its protocol.
  files=("$(command -v git)" "$(git --exec-path)/git-remote-http" "$(command -v tini)")
  mapfile -t -O 3 files < <(ldd "${files[@]}" | grep -o '/[^ ]* (0x' | cut -d' ' -f1 | sort -u)
  mkdir -p "$1"/{etc,tmp,usr/local/bin} "$kept"
  cp --dereference --parents "${files[@]}" "$1" && cp "$2/usr/local/bin/podagent" "$1/usr/local/bin" || return 1
  CGO_ENABLED=0 go build -ldflags '-s -w' -o "$1/usr/local/bin/executor" ./cmd/executor || return 1
  printf 'executor:x:1000:1000::/home/executor:/usr/sbin/nologin\n' >"$1/etc/passwd"
  # How it is made counts, too.
  key=$({ declare -f pods_executor && sum_of "$1"/usr/local/bin/* "${files[@]}"; } | sha256sum | cut -c1-12)
  EXECUTOR_TEST_EXECUTOR_IMAGE=open-executor-test/executor:$key
  archive=$kept/$key.tar
  [[ -e $archive ]] || go run ./dev/kubernetes/imagearchive -name "$EXECUTOR_TEST_EXECUTOR_IMAGE" -out "$archive" -user 1000:1000 \
    -entrypoint "$(command -v tini) -- /usr/local/bin/executor" "$1" || return 1
  ln -sf "$archive" "$1.tar"
  forget_old "$archive" "$kept"/*.tar
}

# pods_end: ends the cluster that pods_need started.
pods_end() { if $pods_started; then "${root[@]}" dev/cluster down; fi; }
