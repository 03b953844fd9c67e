# shellcheck shell=bash
# shellcheck disable=SC2154 # install.sh and run.sh set here, files and machine_dir
# The program that mirrors a registry, one process for each registry of the list /etc/registry-mirror/upstreams.

step() {
  [[ -f $files/registry-mirror ]] || stop "$files/registry-mirror is missing: it is the program of cmd/registry-mirror"
  place "$files/registry-mirror" /usr/bin/registry-mirror 755
  content /usr/lib/sysusers.d/registry-mirror.conf 644 <<-'CONF'
	# The user of registry-mirror@.service. It is in no other group.
	u registry-mirror - "Registry mirror" /mnt/registry
	CONF
  if ! getent passwd registry-mirror >/dev/null; then
    systemd-sysusers /usr/lib/sysusers.d/registry-mirror.conf
    changed 'made the user registry-mirror'
  fi
  # An operator's list stays.
  if [[ ! -e /etc/registry-mirror/upstreams ]]; then place "$here/first-boot/upstreams" /etc/registry-mirror/upstreams 644; fi
  credentials
  place "$here/first-boot/registry-mirror-instances" "$machine_dir/registry-mirror-instances" 755
  place "$here/first-boot/registry-mirror.service" /etc/systemd/system/registry-mirror.service 644
  place "$here/first-boot/registry-mirror@.service" /etc/systemd/system/registry-mirror@.service 644
  enabled registry-mirror.service
}

# credentials: the folder for files of user:password, which the mirrors' user may read and nobody else.
credentials() {
  local dir=/etc/registry-mirror/credentials
  if [[ $(stat -c '%a %U:%G' "$dir" 2>/dev/null) != '700 registry-mirror:registry-mirror' ]]; then
    install -d -m 700 -o registry-mirror -g registry-mirror "$dir"
    changed "made $dir"
  fi
}
