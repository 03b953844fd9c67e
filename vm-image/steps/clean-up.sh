# shellcheck shell=bash
# Last: what must not be in an image, since all machines made of it would share it or carry it along. Shared with docker-mirror.

step() {
  apt_caches
  identity
  histories
  logs
}

apt_caches() {
  local found
  found=$(find /var/cache/apt /var/lib/apt/lists -type f ! -name lock -print -quit)
  if [[ -n $found ]]; then
    apt_get clean
    find /var/cache/apt /var/lib/apt/lists -type f ! -name lock -delete
    changed 'removed the caches of apt'
  fi
}

# identity: each machine makes its own at its first boot.
identity() {
  if [[ -s /etc/machine-id && $(cat /etc/machine-id) != uninitialized ]]; then
    # Empty, not absent: systemd then keeps the one that it makes.
    : >/etc/machine-id
    changed 'emptied /etc/machine-id'
  fi
  # A link to the former is how it should be.
  if [[ -f /var/lib/dbus/machine-id && ! -L /var/lib/dbus/machine-id ]]; then absent /var/lib/dbus/machine-id; fi
  absent /var/lib/systemd/random-seed /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
  # cloud-init makes them, where it is; where it isn't this does, before the server starts.
  content /etc/systemd/system/ssh-host-keys.service 644 <<-'UNIT'
	[Unit]
	Description=This machine's own SSH host keys
	Before=ssh.service ssh.socket
	ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key

	[Service]
	Type=oneshot
	ExecStart=/usr/bin/ssh-keygen -A

	[Install]
	WantedBy=multi-user.target
	UNIT
  enabled ssh-host-keys.service
  # The first boot of a machine made of the image is cloud-init's first.
  if [[ -d /var/lib/cloud/instances ]] && command -v cloud-init >/dev/null; then
    cloud-init clean --logs
    absent /var/lib/cloud/instances
    changed 'had cloud-init forget this machine'
  fi
}

histories() { absent /root/.*_history /home/*/.*_history /root/.wget-hsts /root/.lesshst; }

# logs: of this machine, which isn't one that runs.
logs() {
  local found
  found=$(find /var/log -type f -size +0 ! -path '/var/log/journal/*' -print -quit)
  if [[ -n $found ]]; then
    find /var/log -type f ! -path '/var/log/journal/*' -exec truncate --size 0 {} +
    changed 'emptied the logs'
  fi
}
