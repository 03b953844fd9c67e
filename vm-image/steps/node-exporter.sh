# shellcheck shell=bash
# The machine's metrics, for this machine's own programs: on loopback only. Shared with docker-mirror.

# What tells how a machine that runs jobs, or serves images, is doing.
readonly collectors=(cpu diskstats filesystem filefd loadavg meminfo netdev netstat pressure stat time uname vmstat)

step() {
  # Before the package, which starts the exporter.
  content /etc/systemd/system/prometheus-node-exporter.service.d/machine-image.conf 644 <<-CONF
	[Service]
	ExecStart=
	ExecStart=/usr/bin/prometheus-node-exporter --web.listen-address=127.0.0.1:9100 --collector.disable-defaults ${collectors[*]/#/--collector.}
	NoNewPrivileges=yes
	CapabilityBoundingSet=
	ProtectSystem=strict
	ProtectHome=read-only
	PrivateDevices=yes
	CONF
  packages prometheus-node-exporter
  enabled prometheus-node-exporter.service
}
