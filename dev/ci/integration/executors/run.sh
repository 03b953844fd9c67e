#!/usr/bin/env bash
# Runs the candidate images of the frontend and the executor together, as their users do: the executor in a container with the engine's
# socket, the steps of its jobs in containers beside it. One job has to succeed, one to fail, one to be canceled, and nothing may stay behind.
#
#   REGISTRY, CANDIDATE_VERSION   where the images are, and their tag
#   EXECCTL_URL                   where the frontend answers on this machine; default http://127.0.0.1:7080
#   E2E_JOB_IMAGE                 image of the steps; default busybox:1.37
#
# Needs docker, git and go.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../../.."

readonly registry=${REGISTRY:?"is unset: the registry of the candidate images"}
readonly candidate=${CANDIDATE_VERSION:?"is unset: the tag of the candidate images"}
export EXECCTL_URL=${EXECCTL_URL:-http://127.0.0.1:7080}
readonly image=${E2E_JOB_IMAGE:-busybox:1.37}
readonly patience=120 # seconds, for each wait
readonly name=executors-e2e-$$
scratch=$(mktemp -d)
passed=false

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
execctl() { timeout "$patience" "$scratch/execctl" "$@"; }

# within WHAT COMMAND…: repeats the command until it succeeds.
within() {
  local what=$1 deadline=$((SECONDS + patience))
  shift
  until "$@" >"$scratch/last" 2>&1; do
    ((SECONDS < deadline)) || fail "no $what after ${patience}s: $(tail -n 5 "$scratch/last")"
    sleep 1
  done
}

clean_up() {
  local container
  for container in "$name-frontend" "$name-executor"; do
    if ! $passed; then
      say "the end of the log of $container"
      docker logs --tail 50 "$container" 2>&1 || true
    fi
    docker rm --force --volumes "$container" >/dev/null 2>&1 || true
  done
  docker network rm "$name" >/dev/null 2>&1 || true
  # What the executor wrote belongs to root.
  docker run --rm --volume "$scratch:/scratch" "$image" rm -rf /scratch/work >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Tokens travel in files that only we can read: a command line is public.
prepare() {
  umask 077
  mkdir -p "$scratch/work"
  local shared
  shared=$(secret)
  EXECCTL_TOKEN=$(secret)
  E2E_SECRET=$(secret)
  export EXECCTL_TOKEN E2E_SECRET
  cat >"$scratch/frontend.env" <<END
FRONTEND_LISTEN_ADDR=:7080
FRONTEND_DATA_DIR=/data/frontend
FRONTEND_REPOS_DIR=/repos
FRONTEND_EXECUTOR_TOKEN=$shared
FRONTEND_API_TOKEN=$EXECCTL_TOKEN
END
  cat >"$scratch/executor.env" <<END
EXECUTOR_FRONTEND_URL=http://$name-frontend:7080
EXECUTOR_FRONTEND_PASSWORD=$shared
EXECUTOR_QUEUE_NAME=default
EXECUTOR_RUNTIME=docker
EXECUTOR_DOCKER_HOST_MOUNT_PATH=$scratch/work
TMPDIR=/scratch
END
  say 'a repository, and execctl from this checkout'
  git init --quiet --initial-branch main "$scratch/repos/hello"
  echo 'Hello from a repository' >"$scratch/repos/hello/README"
  git -C "$scratch/repos/hello" add README
  git -C "$scratch/repos/hello" -c user.name=e2e -c user.email=e2e@example.com commit --quiet --message 'Say hello'
  # The frontend is not root in its container.
  chmod -R a+rX "$scratch/repos"
  go build -o "$scratch/execctl" ./cmd/execctl
}

start() {
  say "starting $registry/{frontend,executor}:$candidate"
  docker network create "$name" >/dev/null
  local port=${EXECCTL_URL##*:}
  docker run --detach --name "$name-frontend" --network "$name" --publish "127.0.0.1:${port%%/*}:7080" \
    --env-file "$scratch/frontend.env" --mount type=tmpfs,destination=/data,tmpfs-mode=1777 \
    --volume "$scratch/repos:/repos:ro" "$registry/frontend:$candidate" serve >/dev/null
  within 'answer from the frontend' execctl queues
  # Root, for the engine's socket.
  docker run --detach --name "$name-executor" --hostname "$name" --network "$name" --user 0:0 \
    --env-file "$scratch/executor.env" --volume /var/run/docker.sock:/var/run/docker.sock \
    --volume "$scratch/work:/scratch" "$registry/executor:$candidate" run >/dev/null
  within 'executor at the frontend' executor_is_known
}
executor_is_known() { execctl executors | grep --fixed-strings "$name"; }

# job STEP…: writes a job file with the steps and prints its name.
job() {
  local file=$scratch/job.yaml step
  cat >"$file" <<END
queue: default
repository: {name: hello, commit: main, directory: repository}
secrets: {TOKEN: {env: E2E_SECRET}}
timeout: 2m
steps:
END
  for step in "$@"; do printf '  - {image: "%s", run: "%s"}\n' "$image" "$step" >>"$file"; done
  echo "$file"
}

# log_has TEXT: looks for it in what the last job printed.
log_has() { grep --quiet --fixed-strings "$1" "$scratch/log" || fail "no \"$1\" in the log: $(cat "$scratch/log")"; }

job_succeeds() {
  say 'a job that succeeds'
  execctl submit "$(job 'cat repository/README >copy' 'cat copy; echo token: $TOKEN')" --follow | tee "$scratch/log" ||
    fail 'the job did not complete'
  log_has 'Hello from a repository'
  log_has 'token: '
  ! grep --quiet --fixed-strings "$E2E_SECRET" "$scratch/log" || fail 'the secret stands in the log'
}

job_fails() {
  say 'a job that fails'
  local code=0
  execctl submit "$(job 'exit 3' 'echo never reached')" --follow | tee "$scratch/log" || code=$?
  ((code == 1)) || fail "execctl ended with $code, not with 1"
  log_has 'exit code 3'
  ! grep --quiet 'never reached' "$scratch/log" || fail 'a step ran after one that failed'
}

job_is_canceled() {
  say 'a job that is canceled'
  local id
  id=$(execctl submit "$(job 'echo waiting; sleep 1000 & wait')" | awk '{ print $2 }')
  within 'output of the job' job_says "$id" waiting
  execctl cancel "$id"
  within 'end of the canceled job' job_is "$id" canceled
}
job_says() { execctl logs "$1" | grep --fixed-strings "$2"; }
job_is() { execctl show "$1" --output json | grep --extended-regexp "\"state\": ?\"$2\""; }

nothing_stays() {
  say 'the executor stops, and nothing stays behind'
  docker stop --time 60 "$name-executor" >/dev/null
  local left
  left=$(docker ps --all --filter label=open-executor.managed-by=executor --format '{{.Names}} {{.Label "open-executor.executor"}}' |
    grep --fixed-strings " $name" || true)
  [[ -z $left ]] || fail "containers of jobs are left: $left"
  left=$(docker run --rm --volume "$scratch/work:/scratch" "$image" find /scratch -name 'workspace-*')
  [[ -z $left ]] || fail "workspaces are left: $left"
}

prepare
start
job_succeeds
job_fails
job_is_canceled
nothing_stays
passed=true
say "passed in ${SECONDS}s"
