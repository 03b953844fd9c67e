# shellcheck shell=bash
# Who may pull from this machine, and read its metrics: rules beside those of firewall.sh.
#
#   CLIENT_CIDRS  networks, words; "" lets nobody in

step() {
  local word rules='' four=() six=()
  for word in ${CLIENT_CIDRS-}; do
    if [[ $word =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$ ]]; then
      four+=("$word")
    elif [[ $word =~ ^[0-9a-fA-F:]*:[0-9a-fA-F:]*/[0-9]{1,3}$ ]]; then
      six+=("$word")
    else
      stop "CLIENT_CIDRS: \"$word\" is not of the form 10.0.0.0/8 or fd00::/8"
    fi
  done
  if ((${#four[@]} > 0)); then rules+=$(clients_rule ip "${four[@]}")$'\n'; fi
  if ((${#six[@]} > 0)); then rules+=$(clients_rule ip6 "${six[@]}")$'\n'; fi
  content /etc/machine-firewall/registry-mirror.nft 644 <<-NFT
	# Who may pull (ports 5000 to 5099: each registry of /etc/registry-mirror/upstreams has one) and read metrics (9999). After a change:
	# systemctl reload machine-firewall
	${rules%$'\n'}
	NFT
}

# clients_rule FAMILY CIDR…
clients_rule() {
  local family=$1 networks
  shift
  printf -v networks '%s, ' "$@"
  printf 'add rule inet machine_firewall input %s saddr { %s } tcp dport { 5000-5099, 9999 } accept' "$family" "${networks%, }"
}
