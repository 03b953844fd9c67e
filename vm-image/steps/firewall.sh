# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets machine_dir
# What may come in from the network, and what guests of this machine may not reach. Shared with docker-mirror.
#
#   FIREWALL_ALLOW  what may come in besides SSH, words of the form tcp:PORT or tcp:PORT@CIDR, udp likewise
#
# An operator adds rules in files /etc/machine-firewall/*.nft, see docs/machine-images.md.

step() {
  packages nftables
  mkdir -p /etc/machine-firewall
  # Made before anything is written: a wrong word changes nothing.
  local rules
  rules=$(firewall_rules)
  content "$machine_dir/firewall.nft" 644 <<<"$rules"
  content /etc/systemd/system/machine-firewall.service 644 <<-UNIT
	[Unit]
	Description=What may come in from the network
	DefaultDependencies=no
	Wants=network-pre.target
	After=local-fs.target
	Before=network-pre.target shutdown.target
	Conflicts=shutdown.target

	[Service]
	Type=oneshot
	RemainAfterExit=yes
	ExecStart=/usr/sbin/nft -f $machine_dir/firewall.nft
	ExecReload=/usr/sbin/nft -f $machine_dir/firewall.nft

	[Install]
	WantedBy=multi-user.target
	UNIT
  enabled machine-firewall.service
}

# firewall_rules: one table of our own, replaced as a whole. /etc/nftables.conf isn't ours, and flushes the tables of Docker and of the
# executor when it is loaded.
firewall_rules() {
  local word allowed=()
  for word in ${FIREWALL_ALLOW-}; do allowed+=("$(firewall_rule "$word")") || exit; done
  cat <<-'NFT'
	add table inet machine_firewall
	delete table inet machine_firewall
	table inet machine_firewall {
	  chain input {
	    type filter hook input priority filter; policy drop;
	    ct state established,related accept
	    ct state invalid drop
	    iifname "lo" accept
	    meta l4proto { icmp, ipv6-icmp } accept
	    # Leases of addresses.
	    udp dport { 68, 546 } accept
	    tcp dport 22 accept
	    # MicroVMs ask the host for names; their own tables allow them nothing else.
	    iifname "exvm*" meta l4proto { tcp, udp } th dport 53 accept
	NFT
  if ((${#allowed[@]} > 0)); then printf '    %s\n' "${allowed[@]}"; fi
  cat <<-'NFT'
	  }
	  chain forward {
	    type filter hook forward priority filter - 5; policy accept;
	    # Who reaches a cloud's metadata has the machine's rights: the secret manager among them. Names are asked for at the same address.
	    ip daddr 169.254.0.0/16 meta l4proto { tcp, udp } th dport 53 accept
	    ip daddr 169.254.0.0/16 counter drop
	    ip6 daddr { fe80::/10, fd00:ec2::254, fd20:ce::254 } counter drop
	  }
	}
	include "/etc/machine-firewall/*.nft"
	NFT
}

# firewall_rule WORD: the rule for tcp:PORT@CIDR.
firewall_rule() {
  [[ $1 =~ ^(tcp|udp):([0-9]{1,5})(@([0-9a-fA-F.:]+/[0-9]{1,3}))?$ ]] || stop "FIREWALL_ALLOW: \"$1\" is not of the form tcp:PORT or tcp:PORT@CIDR"
  local protocol=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]} from=${BASH_REMATCH[4]-} family=ip
  if [[ $from == *:* ]]; then family=ip6; fi
  printf '%s%s dport %s accept\n' "${from:+$family saddr $from }" "$protocol" "$port"
}
