# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets machine_dir
# What configures and starts the executor at each boot, from the cloud's metadata.
#
#   PLATFORM_TYPE  gcp, aws, qemu or docker: where the settings come from

step() {
  local part
  for part in settings.sh gcp.sh aws.sh qemu.sh sigv4.sh; do
    place "$here/first-boot/$part" "$machine_dir/$part" 644
  done
  place "$here/first-boot/configure-executor" "$machine_dir/configure-executor" 755
  place "$here/first-boot/executor-boot.service" /etc/systemd/system/executor-boot.service 644
  content /etc/systemd/system/executor.service.d/cloud-settings.conf 644 <<-CONF
	# Over those of /etc/executor/executor.env: what executor-boot.service has from the cloud. In memory only.
	[Service]
	Environment=NODE_EXPORTER_URL=http://127.0.0.1:9100
	EnvironmentFile=-/run/executor-boot/settings.env
	CONF
  enabled executor-boot.service
}
