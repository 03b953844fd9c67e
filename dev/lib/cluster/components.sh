# shellcheck shell=bash
# The programs of a node: how each is configured, started, asked and stopped. Sourced by dev/cluster, as the rest is.
# shellcheck disable=SC2034,SC2154

# program_write NODE NAME WORD…: how a program is started, now and after a stop.
program_write() {
  printf 'exec%s\n' "$(printf ' %q' "${@:3}")" >"$dir/nodes/$1/commands/$2"
}

# program_start NODE NAME: starts what program_write wrote. Its number is that of the node's namespace.
program_start() {
  # shellcheck disable=SC2016 # for the shell there
  in_node "$1" setsid env -i PATH="$PATH" HOME=/root sh -c '
    sh "$1" >>"$2" 2>&1 </dev/null &
    echo $! >"$3"' sh "nodes/$1/commands/$2" "log/$1/$2.log" "nodes/$1/pids/$2"
}

# program_alive NODE NAME
program_alive() {
  local pid
  node_alive "$1" && read -r pid 2>/dev/null <"$dir/nodes/$1/pids/$2" && [[ -n $(readlink "/proc/$node_pid/root/proc/$pid/exe") ]]
}

program_ended() { ! program_alive "$1" "$2"; }

# program_stop NODE NAME: asks it to end, and ends it when it doesn't. The API server waits for whoever watches, which may be for ever.
program_stop() {
  local pid log=$dir/log/$1/$2.log signal=TERM
  program_alive "$1" "$2" || return 0
  pid=$(<"$dir/nodes/$1/pids/$2")
  [[ $2 != apiserver ]] || signal=KILL
  in_node "$1" kill "-$signal" "$pid" || return
  wait_for 10 "the end of $2 on $1" "$log" program_ended "$1" "$2" 2>/dev/null && return
  in_node "$1" kill -KILL "$pid" || return
  wait_for 10 "the end of $2 on $1" "$log" program_ended "$1" "$2"
}

# program_wait NODE NAME SECONDS: until it does its work, as far as it can be asked.
program_wait() {
  still="program_alive $1 $2"
  local ask=() status=0
  case $2 in
    containerd) ask=(in_node "$1" ctr version) ;;
    etcd) ask=(in_node "$1" curl -sf --noproxy '*' --max-time 5 http://127.0.0.1:2379/health) ;;
    apiserver) ask=(api /readyz) ;;
    kubelet) ask=(in_node "$1" curl -sf --noproxy '*' --max-time 5 http://127.0.0.1:10248/healthz) ;;
    *) ask=(program_alive "$1" "$2") ;;
  esac
  wait_for "$3" "$2 on $1" "$dir/log/$1/$2.log" "${ask[@]}" || status=1
  still=true
  return "$status"
}

# control_plane_write ADMISSION_PLUGINS AUDIT: the programs that a cluster has once, on node1. AUDIT is true or false.
control_plane_write() {
  local keys=$dir/keys conf=$dir/conf audit_flags=()
  if $2; then
    # Who did what to which object, once it is decided.
    printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n' >"$conf/audit.yaml"
    audit_flags=("--audit-policy-file=$conf/audit.yaml" "--audit-log-path=$dir/log/audit.log")
  fi
  program_write node1 etcd "$components" etcd --data-dir "$dir/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380
  program_write node1 apiserver "$components" kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=0.0.0.0 --secure-port=6443 --advertise-address="$api_address" --service-cluster-ip-range="$services_net" \
    --tls-cert-file="$keys/apiserver.crt" --tls-private-key-file="$keys/apiserver.key" --client-ca-file="$keys/ca.crt" \
    --kubelet-certificate-authority="$keys/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$keys/apiserver-kubelet.crt" --kubelet-client-key="$keys/apiserver-kubelet.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$keys/service-accounts.pub" \
    --service-account-signing-key-file="$keys/service-accounts.key" --allow-privileged=true \
    --authorization-mode=Node,RBAC --enable-admission-plugins="NodeRestriction${1:+,$1}" "${audit_flags[@]}"
  # The usual limit of 20 requests a second makes the first seconds of a cluster slow.
  program_write node1 controllers "$components" kube-controller-manager --kubeconfig="$conf/controllers.kubeconfig" --leader-elect=false \
    --use-service-account-credentials --service-account-private-key-file="$keys/service-accounts.key" --root-ca-file="$keys/ca.crt" \
    --bind-address=127.0.0.1 --kube-api-qps=500 --kube-api-burst=1000 --flex-volume-plugin-dir="$dir/nodes/node1/plugins"
  program_write node1 scheduler "$components" kube-scheduler --kubeconfig="$conf/scheduler.kubeconfig" --leader-elect=false --bind-address=127.0.0.1
  program_write node1 provisioner "$components" provisioner --kubeconfig="$conf/admin.kubeconfig" --root="$dir/volumes"
  program_write node1 coredns "$components" coredns -conf "$conf/Corefile"
  cat >"$conf/Corefile" <<END
.:53 {
  bind $api_address
  errors
  hosts {
    $host_address host.test
    fallthrough
  }
  kubernetes cluster.local {
    kubeconfig $conf/admin.kubeconfig
  }
}
END
}

# node_write NUMBER: the programs that each node has.
node_write() {
  local node address at
  node=$(node_name "$1") address=$(node_address "$1")
  at=$dir/nodes/$node
  containerd_conf "$1" >"$at/containerd.toml"
  kubelet_conf "$node" >"$at/kubelet.yaml"
  printf 'nameserver %s\n' "$api_address" >"$at/resolv.conf"
  # Whatever registry an image names, it is pulled from the one that a test runs on the host.
  mkdir -p "$dir/conf/registries/_default"
  printf '[host."http://%s:5000"]\n  capabilities = ["pull", "resolve"]\n' "$host_address" >"$dir/conf/registries/_default/hosts.toml"
  printf '%s\n' "{\"cniVersion\": \"0.4.0\", \"name\": \"pods\", \"plugins\": [{\"type\": \"bridge\", \"bridge\": \"pods\", \"isGateway\": true,
    \"hairpinMode\": true, \"ipam\": {\"type\": \"host-local\", \"ranges\": [[{\"subnet\": \"$(node_pods "$1")\"}]],
    \"routes\": [{\"dst\": \"0.0.0.0/0\"}]}}]}" >"$at/cni/pods.conflist"
  program_write "$node" containerd containerd --config "$at/containerd.toml"
  program_write "$node" kubelet "$components" kubelet --config="$at/kubelet.yaml" --kubeconfig="$dir/conf/$node.kubeconfig" \
    --root-dir="$at/kubelet" --hostname-override="$node" --node-ip="$address"
  program_write "$node" proxy "$components" kube-proxy --kubeconfig="$dir/conf/proxy.kubeconfig" --hostname-override="$node" \
    --proxy-mode=iptables --cluster-cidr="$pods_net" \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}

containerd_conf() {
  cat <<END
version = 2
root = "$dir/nodes/$(node_name "$1")/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause_image"
  # A machine may not let us lower what the kernel weighs processes with when memory is short, and then no pod would start.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$dir/conf/registries"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/nodes/$(node_name "$1")/cni"
END
}

# kubelet_conf NODE: it evicts for no disk of the machine, only for what a pod's own limits say.
kubelet_conf() {
  local keys=$dir/keys at=$dir/nodes/$1
  cat <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $keys/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $keys/$1.crt
tlsPrivateKeyFile: $keys/$1.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup_name/$1
failSwapOn: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
clusterDNS: [$api_address]
clusterDomain: cluster.local
resolvConf: $at/resolv.conf
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
imageGCHighThresholdPercent: 100
kubeAPIQPS: 500
kubeAPIBurst: 1000
podLogsDir: $dir/log/$1/pods
volumePluginDir: $at/plugins
END
}
