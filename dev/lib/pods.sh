# shellcheck shell=bash
# shellcheck disable=SC2154 # packages.sh sets root
# The cluster for tests of the Kubernetes runtime (dev/cluster), and the image that the pods of jobs begin with. Sourced after dev/lib/packages.sh.

pods_started=false

# pods_need DIR: starts the cluster unless one is up, gives it that image and one more for steps, which are made in DIR, and exports what tests
# must know.
pods_need() {
  local image=$1/helper other=$1/other
  if ! "${root[@]}" dev/cluster status >/dev/null 2>&1; then
    pods_started=true
    "${root[@]}" dev/cluster up
  fi
  mkdir -p "$image"/{usr/local/bin,tmp}
  CGO_ENABLED=0 go build -ldflags '-s -w' -o "$image/usr/local/bin/podagent" ./cmd/podagent
  EXECUTOR_TEST_HELPER_IMAGE=open-executor-test/helper:$(sha256sum "$image/usr/local/bin/podagent" | cut -c1-12)
  go run ./dev/kubernetes/imagearchive -name "$EXECUTOR_TEST_HELPER_IMAGE" -out "$1/helper.tar" "$image"
  need busybox busybox-static
  mkdir -p "$other"/{bin,tmp}
  cp "$(command -v busybox)" "$other/bin/busybox"
  busybox --list | sed '/^busybox$/d' | xargs -I{} ln -sf busybox "$other/bin/{}"
  : >"$other/other"
  EXECUTOR_TEST_OTHER_IMAGE=open-executor-test/other:$(sha256sum "$other/bin/busybox" | cut -c1-12)
  go run ./dev/kubernetes/imagearchive -name "$EXECUTOR_TEST_OTHER_IMAGE" -out "$1/other.tar" "$other"
  "${root[@]}" dev/cluster load "$1/helper.tar" "$1/other.tar"
  export EXECUTOR_TEST_HELPER_IMAGE EXECUTOR_TEST_OTHER_IMAGE
  eval "$("${root[@]}" dev/cluster env)"
}

# pods_end: ends the cluster that pods_need started.
pods_end() { if $pods_started; then "${root[@]}" dev/cluster down; fi; }
