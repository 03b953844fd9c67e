# shellcheck shell=bash
# What Bazel keeps of workspaces that are gone. Sourced by dev/bazel, which sets cache. Its disk cache keeps itself small (.bazelrc).
# shellcheck disable=SC2154

# outputs_forget: removes the output bases of workspaces that no longer exist. Where there is none it starts no program, so that every command
# can ask.
outputs_forget() {
  local gone base lock
  outputs_gone
  ((${#gone[@]} > 0)) || return 0
  exec {lock}>"$cache/output.lock"
  # Another run may be at it.
  if flock --nonblock "$lock"; then
    outputs_gone
    for base in "${gone[@]}"; do output_remove "$base"; done
  fi
  exec {lock}>&-
}

# outputs_gone: sets gone to those, and to what an interrupted removal left.
outputs_gone() {
  local base workspace
  gone=()
  for base in "$cache"/output/*; do
    if [[ $base == *.gone ]]; then
      gone+=("$base")
    elif { read -r workspace || [[ -n $workspace ]]; } 2>/dev/null <"$base/DO_NOT_BUILD_HERE" && [[ $workspace == /* && ! -e $workspace ]]; then
      gone+=("$base")
    fi
  done
}

# output_remove BASE: under another name first, which no workspace asks for.
output_remove() {
  local name=${1%.gone}.gone
  printf 'removing what Bazel keeps of a workspace that is gone: %s %s\n' "$1" "$(cat "$1/DO_NOT_BUILD_HERE" 2>/dev/null)" >&2
  if [[ $1 != "$name" ]]; then
    server_end "$1" || return 0
    as_root mv -T -- "$1" "$name" || return 0
  fi
  tree_remove "$name" || printf 'not all of it could be removed: %s\n' "$name" >&2
}

# tree_remove DIR: Bazel takes the right to write from directories that actions made.
tree_remove() {
  as_root find "$1" -xdev -type d ! -perm -u+wx -exec chmod u+wx {} +
  as_root rm -rf --one-file-system -- "$1"
}

# server_runs PID BASE: this process is the Bazel server of that output base, and no other that has got its number since.
server_runs() { as_root grep -qszxF -e "--output_base=$2" "/proc/$1/cmdline"; }

# server_end BASE: ends the server of an output base, and fails when it stays.
server_end() {
  local pid signal waited
  pid=$(as_root cat "$1/server/server.pid.txt" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 0
  for signal in TERM KILL; do
    server_runs "$pid" "$1" || return 0
    as_root kill "-$signal" "$pid" 2>/dev/null || true
    for ((waited = 0; waited < 50; waited++)); do
      server_runs "$pid" "$1" || return 0
      sleep 0.1
    done
  done
  printf 'the Bazel server %s of %s does not end\n' "$pid" "$1" >&2
  return 1
}
