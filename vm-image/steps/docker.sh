# shellcheck shell=bash
# The distribution's Docker engine.

step() {
  # Before the engine's first start, and only where the operator's base image has none of its own.
  if [[ ! -e /etc/docker/daemon.json ]]; then
    content /etc/docker/daemon.json 644 <<-'JSON'
	{
	  "log-driver": "journald",
	  "live-restore": true
	}
	JSON
  fi
  # Where the kernel has AppArmor, as Debian's and Ubuntu's have, no container starts without its parser.
  packages apparmor docker.io iptables
  enabled docker.service
}
