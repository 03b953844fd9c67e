# shellcheck shell=bash
# Nodes: each is a process 1 with namespaces of its own, all but that of users. What happens within (mounts, links, tables, processes) is gone when that
# process ends, however it ends; only control groups stay, and are removed by name.
# Sourced by dev/cluster.
# shellcheck disable=SC2034,SC2154

# The host's end of the link, and what lies behind it. The first node routes for the others: the host forwards nothing, so that the rules that an
# engine makes for forwarding don't matter. Pods reach the host by host_address, and nothing beyond.
readonly host_link=executor-k8s host_address=10.200.0.1 api_address=10.200.0.2 pods_net=10.244.0.0/16 services_net=10.96.0.0/16
readonly cgroup_name=executor-cluster

# Sysctls of the whole machine that the kubelet sets to its liking: a node sees files in their place.
readonly shielded_sysctls='vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes'

node_name() { printf 'node%d\n' "$1"; }
node_address() { printf '10.200.0.%d\n' $((4 * $1 - 2)); }
node_gateway() { printf '10.200.0.%d\n' $((4 * $1 - 3)); }
node_pods() { printf '10.244.%d.0/24\n' "$1"; }

# process_mark PID: what tells a process from another that gets its number later, after a reboot too. 1 when there is none.
process_mark() {
  local stat
  [[ -n $(readlink "/proc/$1/exe") ]] && stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The second word, a name, may have blanks; the start time is the 20th after it.
  read -ra stat <<<"${stat##*) }"
  printf '%s-%s\n' "$(</proc/sys/kernel/random/boot_id)" "${stat[19]}"
}

# node_start NODE: makes the namespaces, and waits until process 1 has them ready.
node_start() {
  local node=$1 at=$dir/nodes/$1
  rm -rf -- "$at"
  mkdir -p "$at"/{pids,commands,cni,containerd,kubelet} "$dir/log/$node"
  setsid unshare --net --mount --propagation private --pid --ipc --uts --fork --kill-child \
    env -i PATH="$PATH" HOME=/root bash dev/lib/cluster/node_init.sh "$dir" "$node" "$shielded_sysctls" \
    >"$dir/log/$node/init.log" 2>&1 </dev/null 9>&- &
  local outer=$!
  printf '%s %s\n' "$outer" "$(process_mark "$outer")" >"$at/outer"
  wait_for 20 "the namespaces of $node" "$dir/log/$node/init.log" test -s "$at/init"
}

# node_alive NODE: whether its process 1 runs; sets node_pid, its number.
node_alive() {
  local outer mark
  node_pid=''
  read -r outer mark 2>/dev/null <"$dir/nodes/$1/outer" && [[ $(process_mark "$outer") == "$mark" ]] || return 1
  read -r node_pid 2>/dev/null <"$dir/nodes/$1/init" && [[ -e /proc/$node_pid ]]
}

# in_node NODE COMMAND…: runs it there, in the directory of the cluster.
in_node() {
  node_alive "$1" || { printf 'dev/cluster: %s does not run\n' "$1" >&2; return 1; }
  nsenter --target "$node_pid" --net --mount --pid --ipc --uts --wd="$dir" -- "${@:2}" 9>&-
}

# node_connect NUMBER: links a node with the host (the first) or with the first.
node_connect() {
  local number=$1 node address gateway
  node=$(node_name "$number") address=$(node_address "$number") gateway=$(node_gateway "$number")
  node_alive "$node" || return 1
  local inside=$node_pid
  if ((number == 1)); then
    ip link add "$host_link" type veth peer name uplink netns "$inside"
    : >"$dir/nodes/node1/linked"
    ip address add "$gateway/30" dev "$host_link"
    ip link set "$host_link" up
  else
    node_alive node1 || return 1
    nsenter --target "$node_pid" --net ip link add "$node" type veth peer name uplink netns "$inside"
    in_node node1 ip address add "$gateway/30" dev "$node"
    in_node node1 ip link set "$node" up
    in_node node1 ip route add "$(node_pods "$number")" via "$address"
  fi
  in_node "$node" sh -euc "
    ip address add $address/30 dev uplink
    ip link set lo up
    ip link set uplink up
    ip route add default via $gateway
    echo 1 >/proc/sys/net/ipv4/ip_forward"
  if ((number == 1)); then
    ip route add "$pods_net" via "$address"
    ip route add "$services_net" via "$address"
    ip route add 10.200.0.0/24 via "$address"
  fi
}

# node_gone NODE: whether nothing of its namespaces is left to run.
node_gone() {
  local outer mark
  read -r outer mark 2>/dev/null <"$dir/nodes/$1/outer" || return 0
  [[ $(process_mark "$outer") != "$mark" ]]
}

# node_stop NODE: ends all its processes at once. The outer process waits until the kernel has reaped them all; when it dies first, process 1 does too.
node_stop() {
  local outer _
  if node_alive "$1"; then
    kill -KILL "$node_pid" || true
  elif ! node_gone "$1"; then
    read -r outer _ <"$dir/nodes/$1/outer"
    kill -KILL "$outer" || true
  fi
  wait_for 30 "the end of $1" "$dir/log/$1/init.log" node_gone "$1"
}

# nodes: the names of those that were started, whether they live or not.
nodes() { find "$dir/nodes" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort; }

# cgroups_make NODE: the groups below which a kubelet makes those of pods.
cgroups_make() {
  local hierarchy
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    mkdir -p "/sys/fs/cgroup/$cgroup_name/$1"
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do
    [[ -L ${hierarchy%/} || ! -e $hierarchy/cgroup.procs ]] || mkdir -p "$hierarchy$cgroup_name/$1"
  done
}

cgroups_removed() {
  local group left=0
  for group in /sys/fs/cgroup/"$cgroup_name" /sys/fs/cgroup/*/"$cgroup_name"; do
    [[ ! -d $group ]] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
  done
  return "$left"
}

link_gone() { ! ip link show "$host_link" >/dev/null 2>&1; }
