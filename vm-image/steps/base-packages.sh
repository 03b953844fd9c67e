# shellcheck shell=bash
# What every step and both boots need. Shared with docker-mirror.

step() {
  # systemd-sysv: a root made by hand has none. The clouds' images have all but a few of these. Without netbase nft doesn't know ipv6-icmp.
  packages ca-certificates curl iproute2 jq netbase nftables openssh-server procps systemd systemd-sysv
  journal
  updates
}

# journal: it outlives a boot, and can't fill the disk.
journal() {
  content /etc/systemd/journald.conf.d/machine-image.conf 644 <<-'CONF'
	[Journal]
	Storage=persistent
	SystemMaxUse=1G
	CONF
}

# updates: security fixes come by themselves; the machine never reboots for them beneath a running job.
updates() {
  packages unattended-upgrades
  content /etc/apt/apt.conf.d/60machine-image 644 <<-'CONF'
	APT::Periodic::Update-Package-Lists "1";
	APT::Periodic::Unattended-Upgrade "1";
	Unattended-Upgrade::Automatic-Reboot "false";
	CONF
}
