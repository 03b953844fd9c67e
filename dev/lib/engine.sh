# shellcheck shell=bash
# The Docker engine and the image that the checks use. No registry is needed: the image is made from Debian's busybox.

engine_pid=

engine_answers() { timeout 10 docker info >/dev/null 2>&1; }

# engine_need: sees to it that an engine answers; one that is started here ends with engine_stop.
engine_need() {
  need docker docker.io iptables
  engine_answers && return
  need dockerd docker.io iptables
  engine_answers && return
  say 'no Docker engine answers: starting one for this run'
  local log=${TMPDIR:-/tmp}/dockerd-for-checks.log
  # No function here: its process id would be that of a shell around the engine.
  "${root[@]}" dockerd >"$log" 2>&1 &
  engine_pid=$!
  local waited
  for ((waited = 0; waited < 120; waited++)); do
    engine_answers && return
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.5
  done
  printf 'the Docker engine did not come up; its last words:\n' >&2
  tail -n 20 "$log" >&2
  exit 1
}

# engine_stop: ends the engine that engine_need started, by its process id.
engine_stop() {
  [[ -n $engine_pid ]] || return 0
  as_root kill "$engine_pid" 2>/dev/null || true
  wait "$engine_pid" 2>/dev/null || true
  engine_pid=
}

# image_need DIR: makes the image that container tests run in, named by its content, and exports its name.
image_need() {
  need busybox busybox-static
  local root=$1/root busybox applet
  busybox=$(command -v busybox)
  EXECUTOR_TEST_IMAGE="open-executor-test/busybox:$(sha256sum "$busybox" | cut -c1-12)"
  export EXECUTOR_TEST_IMAGE
  docker image inspect "$EXECUTOR_TEST_IMAGE" >/dev/null 2>&1 && return
  say "importing the test image $EXECUTOR_TEST_IMAGE"
  mkdir -p "$root"/{bin,etc,tmp,root}
  chmod 1777 "$root/tmp"
  cp "$busybox" "$root/bin/busybox"
  for applet in $("$busybox" --list); do
    [[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\n' >"$root/etc/group"
  tar -C "$root" -c . | docker import --change 'CMD ["/bin/sh"]' --change 'ENV PATH=/bin' - "$EXECUTOR_TEST_IMAGE" >/dev/null
}
