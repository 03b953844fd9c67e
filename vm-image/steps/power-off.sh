# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets machine_dir
# Powers the machine off when the executor has ended by itself and well (EXECUTOR_NUM_TOTAL_JOBS, EXECUTOR_MAX_ACTIVE_TIME), so that a group
# of machines replaces it. The file /etc/executor/hold keeps the machine up, see docs/machine-images.md.
#
#   POWER_OFF_AT_END  true, or false (the default)

readonly drop_in=/etc/systemd/system/executor.service.d/power-off.conf

step() {
  place "$here/first-boot/power-off" "$machine_dir/power-off" 755
  if truth POWER_OFF_AT_END; then
    # With a plus sign: the executor's own user can't.
    content "$drop_in" 644 <<-CONF
	[Service]
	ExecStopPost=+$machine_dir/power-off
	CONF
  else
    absent "$drop_in"
  fi
}
