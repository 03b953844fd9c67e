# shellcheck shell=bash
# Settings from QEMU: the file that is given to the machine by -fw_cfg name=opt/executor/settings,file=…. Sourced by configure-executor.

readonly given=${FW_CFG:-/sys/firmware/qemu_fw_cfg/by_name/opt/executor/settings/raw}

# Only root of the machine, and who runs it, reads the file.
cloud_keeps_secrets() { return 0; }

cloud_where() { echo "QEMU's -fw_cfg name=opt/executor/settings"; }

cloud_settings() {
  [[ -e $given ]] || return 1
  # At most as much as the clouds keep.
  head -c 262144 "$given"
}

# cloud_secret NAME REFERENCE
cloud_secret() { stop "${1}_SECRET: there is no secret manager here; set $1 itself"; }
