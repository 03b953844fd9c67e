# shellcheck shell=bash
# What gives this machine's metrics to the network, on port 9999: the machine's own, and those of the first mirror.

step() {
  # Before the package, which starts it. Ports are the reference's.
  content /etc/registry-mirror/exporters.yml 644 <<-'CONF'
	modules:
	  node:
	    method: http
	    http:
	      address: 127.0.0.1
	      port: 9100
	  registry:
	    method: http
	    http:
	      address: 127.0.0.1
	      port: 5001
	CONF
  content /etc/systemd/system/prometheus-exporter-exporter.service.d/machine-image.conf 644 <<-'CONF'
	[Service]
	ExecStart=
	ExecStart=/usr/bin/prometheus-exporter-exporter -config.file /etc/registry-mirror/exporters.yml -web.listen-address :9999
	NoNewPrivileges=yes
	CapabilityBoundingSet=
	ProtectSystem=strict
	ProtectHome=yes
	PrivateTmp=yes
	PrivateDevices=yes
	RestrictAddressFamilies=AF_INET AF_INET6
	CONF
  packages prometheus-exporter-exporter
  enabled prometheus-exporter-exporter.service
}
