# shellcheck shell=bash
# Keys, certificates and kubeconfigs. All belong to one cluster and end with it. Sourced by dev/cluster.
# shellcheck disable=SC2154

readonly key_days=30

# key_make NAME SUBJECT USES [NAMES]: NAME.key and NAME.crt, signed by the authority ca; it signs itself.
key_make() {
  local signer=(-CA "$dir/keys/ca.crt" -CAkey "$dir/keys/ca.key") extensions=(-addext "extendedKeyUsage=$3")
  if [[ $1 == ca ]]; then
    signer=() extensions=(-addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign")
  fi
  [[ -z ${4-} ]] || extensions+=(-addext "subjectAltName=$4")
  # A configuration without Debian's extensions, which make each certificate an authority.
  openssl req -x509 -config "$dir/keys/openssl.conf" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days "$key_days" \
    "${signer[@]}" "${extensions[@]}" -subj "$2" -keyout "$dir/keys/$1.key" -out "$dir/keys/$1.crt" 2>"$dir/log/openssl.log" ||
    { cat "$dir/log/openssl.log" >&2; return 1; }
}

# keys_make NODES: those of all parts, with the kubeconfigs of clients.
keys_make() {
  local number node services="DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  printf '[req]\ndistinguished_name = subject\n[subject]\n' >"$dir/keys/openssl.conf"
  key_make ca /CN=executor-cluster '' || return
  key_make apiserver /CN=kube-apiserver serverAuth "IP:127.0.0.1,IP:$api_address,IP:${services_net%.0/*}.1,DNS:localhost,$services" || return
  key_make apiserver-kubelet /O=system:masters/CN=apiserver-kubelet clientAuth || return
  key_make service-accounts /CN=service-accounts clientAuth || return
  openssl pkey -in "$dir/keys/service-accounts.key" -pubout -out "$dir/keys/service-accounts.pub" || return
  client_make admin /O=system:masters/CN=admin || return
  client_make controllers /CN=system:kube-controller-manager || return
  client_make scheduler /CN=system:kube-scheduler || return
  client_make proxy /CN=system:kube-proxy || return
  for ((number = 1; number <= $1; number++)); do
    node=$(node_name "$number")
    client_make "$node" "/O=system:nodes/CN=system:node:$node" clientAuth,serverAuth "IP:$(node_address "$number"),DNS:$node" || return
  done
  ln -sf conf/admin.kubeconfig "$dir/admin.kubeconfig"
}

# client_make NAME SUBJECT [USES NAMES]: a key, and conf/NAME.kubeconfig, which holds it.
client_make() {
  key_make "$1" "$2" "${3-clientAuth}" "${4-}" || return
  (
    umask 077
    cat >"$dir/conf/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$api_address:6443", certificate-authority-data: $(base64 -w0 "$dir/keys/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$dir/keys/$1.crt"), client-key-data: $(base64 -w0 "$dir/keys/$1.key")}}]
contexts: [{name: test, context: {cluster: test, user: $1}}]
current-context: test
END
  )
}

# api PATH [CURL_FLAG…]: asks the API server as its administrator, from the host.
api() {
  curl -sSf --noproxy '*' --max-time 10 --cacert "$dir/keys/ca.crt" --cert "$dir/keys/admin.crt" --key "$dir/keys/admin.key" "${@:2}" "https://$api_address:6443$1"
}
