# shellcheck shell=bash
# The executor's service as docs/install.md opens it for microVMs. Sourced by scenario.sh.

readonly drop_in=/etc/systemd/system/executor.service.d/microvm.conf

# agent: the guest agent is there, and needs nothing of the system that it boots in.
agent() {
  same 'mode of the guest agent' '755 root:root' "$(mode /usr/lib/executor/vmagent)"
  contains 'the guest agent is static' 'not a dynamic executable' "$(inside ldd /usr/lib/executor/vmagent 2>&1 || true)"
  contains 'it runs' 'the first process of a microVM' "$(inside /usr/lib/executor/vmagent 2>&1 || true)"
}

# with_settings COMMAND…: runs it with the service's settings.
with_settings() { inside systemd-run --quiet --pipe --wait --collect --property=EnvironmentFile=/etc/executor/executor.env "$@"; }

# microvms: the drop-in gives the executor what it asks the system for at its start, where it makes a tap and its tables, and no more. No
# machine is booted here: internal/vm has tests for that, and QEMU is larger than all else in this machine.
microvms() {
  inside systemctl stop executor
  inside install -D --mode 644 /usr/share/doc/executor/microvm.conf "$drop_in"
  inside sed -i -e 's/^EXECUTOR_RUNTIME=.*/EXECUTOR_RUNTIME=firecracker/' -e '$aEXECUTOR_VM_POOL=0' /etc/executor/executor.env
  inside install --mode 755 /bin/false /usr/local/bin/qemu-system-x86_64
  inside systemctl daemon-reload
  same 'systemd-analyze verify executor, with the drop-in' '' "$(inside systemd-analyze verify executor.service 2>&1)"
  holds 'executor.service is still closed' inside systemd-analyze security --no-pager --threshold=27 executor.service
  # QEMU doesn't start without it.
  contains 'system calls' ' seccomp ' "$(property executor SystemCallFilter)"

  inside systemctl start executor >/dev/null 2>&1 && fail 'the executor started without a kernel for microVMs'
  contains 'why it does not start' 'run executor install kernel' "$(journal executor)"
  inside systemctl stop executor
  same 'state of microVMs' '700 root:root' "$(mode /var/lib/executor/vm)"
  # There is no kernel in /srv; the agent was found before.
  contains 'a kernel is looked for' '/srv' "$(with_settings executor install kernel --from /srv 2>&1 || true)"
  inside mkdir -p /var/lib/executor/vm/kernel
  inside touch /var/lib/executor/vm/kernel/vmlinux /var/lib/executor/vm/kernel/initramfs
  contains 'the installation' 'All checks passed!' "$(with_settings executor validate 2>&1)"

  inside sysctl --quiet --write net.ipv4.ip_forward=0
  inside systemctl start executor
  same 'the executor is up' 'enabled, active' "$(state executor)"
  # CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_NET_BIND_SERVICE and CAP_NET_ADMIN.
  same 'capabilities of the executor' '00000000000014e0' "$(status executor CapBnd)"
  same 'packets are forwarded' 'net.ipv4.ip_forward = 1' "$(inside sysctl net.ipv4.ip_forward)"
  same 'only the network can be set up' 'ro rw' "$(inside awk '$5 ~ "^/proc/sys(/net)?$" { sub(",.*", "", $6); print $6 }' \
    "/proc/$(main_pid executor)/mountinfo" | tail -n 2 | paste -s -d ' ')"
  contains 'the policy of microVMs' 'table inet executor_' "$(inside nft list tables)"
  inside systemctl stop executor
  same 'tables left' '' "$(inside nft list tables)"

  inside rm -r "$drop_in" /usr/local/bin/qemu-system-x86_64
  inside rmdir --ignore-fail-on-non-empty "${drop_in%/*}"
  inside sed -i -e 's/^EXECUTOR_RUNTIME=.*/EXECUTOR_RUNTIME=shell/' -e '/^EXECUTOR_VM_POOL=/d' /etc/executor/executor.env
  inside systemctl daemon-reload
  inside systemctl start executor
  same 'the state is the executor'\''s again' '700 executor:executor' "$(mode /var/lib/executor)"
}
