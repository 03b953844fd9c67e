# shellcheck shell=bash
# A cluster from its start to its end. Sourced by dev/cluster.
# shellcheck disable=SC2034,SC2154

# programs: the words "NODE NAME" of all that were started, in the order of their start.
programs() {
  local node name
  for node in $(nodes); do
    for name in containerd etcd apiserver controllers scheduler provisioner coredns proxy kubelet; do
      [[ ! -e $dir/nodes/$node/pids/$name ]] || printf '%s %s\n' "$node" "$name"
    done
  done
}

# cluster_whole: whether all that was started runs, and the start came to its end.
cluster_whole() {
  local node name
  [[ -s $dir/environment ]] || return 1
  while read -r node name; do
    program_alive "$node" "$name" || return 1
  done < <(programs)
}

# cluster_start NODES ADMISSION_PLUGINS AUDIT: brings a cluster up in a directory that has none. What it has begun when it fails is for cluster_end.
cluster_start() {
  local number node name
  timed 'namespaces and links' nodes_make "$1"
  timed 'keys and certificates' keys_make "$1"
  control_plane_write "$2" "$3"
  for ((number = 1; number <= $1; number++)); do node_write "$number"; done
  for node in $(nodes); do program_start "$node" containerd; done
  program_start node1 etcd
  program_start node1 apiserver
  timed containerd containerds_wait
  timed images images_load "${image_archives[@]}"
  timed etcd program_wait node1 etcd 60
  timed 'API server' program_wait node1 apiserver 120
  for name in controllers scheduler provisioner coredns; do program_start node1 "$name"; done
  for node in $(nodes); do
    program_start "$node" proxy
    program_start "$node" kubelet
  done
  storage_class_make
  for node in $(nodes); do timed "$node Ready" node_wait "$node"; done
  timed 'default service account' wait_for 60 'the default service account' "$dir/log/node1/controllers.log" api /api/v1/namespaces/default/serviceaccounts/default
  environment_write
}

nodes_make() {
  local number node
  for ((number = 1; number <= $1; number++)); do
    node=$(node_name "$number")
    node_start "$node"
    cgroups_make "$node"
    node_connect "$number"
  done
}

containerds_wait() {
  local node
  for node in $(nodes); do program_wait "$node" containerd 30; done
}

node_ready() { api "/api/v1/nodes/$1?pretty=true" | grep '"reason": "KubeletReady"' >/dev/null; }

node_wait() {
  local status=0
  still="program_alive $1 kubelet"
  wait_for 60 "$1 to be Ready" "$dir/log/$1/kubelet.log" node_ready "$1" || status=1
  still=true
  return "$status"
}

# storage_class_make: the class of claims that name none. Its volumes come from the provisioner.
storage_class_make() {
  api /apis/storage.k8s.io/v1/storageclasses --header 'Content-Type: application/json' --data '{
    "metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "cluster.test/directories", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}' >/dev/null
}

# environment_write: what tests must know. It is there when the cluster is.
environment_write() {
  printf 'export %s=%s\n' KUBECONFIG "$dir/admin.kubeconfig" EXECUTOR_CLUSTER_DIR "$dir" EXECUTOR_TEST_CLUSTER_HOST "$host_address" \
    EXECUTOR_TEST_IMAGE "$test_image" >"$dir/environment"
}

# cluster_end: ends what runs of a cluster, however far it came, and removes all but its logs.
cluster_end() {
  local node linked=false status=0
  # Someone else's link isn't ours to remove, and theirs are the control groups then.
  if [[ -e $dir/nodes/node1/linked ]] && node_alive node1; then linked=true; fi
  for node in $(nodes); do node_stop "$node" || status=1; done
  # The kernel takes namespaces of networks apart later.
  if $linked; then ip link delete "$host_link" 2>/dev/null || true; fi
  if link_gone; then wait_for 15 'control groups to be empty' '' cgroups_removed || status=1; fi
  ((status != 0)) || state_clear
  return "$status"
}

# cluster_show: prints what runs. 1 when something doesn't.
cluster_show() {
  local node name state status=0
  while read -r node name; do
    state=runs
    program_alive "$node" "$name" || { state='has ended'; status=1; }
    printf '%-8s %-12s %s\n' "$node" "$name" "$state"
  done < <(programs)
  for node in $(nodes); do
    state=Ready
    node_ready "$node" 2>/dev/null || { state='not Ready'; status=1; }
    printf '%-8s %s\n' "$node" "$state"
  done
  return "$status"
}
