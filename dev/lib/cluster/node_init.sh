#!/usr/bin/env bash
# Process 1 of a node, started by dev/lib/cluster/node.sh in new namespaces: gives it file systems, and then reaps until it is killed.
#
#   node_init.sh DIR NODE SYSCTLS
set -euo pipefail
dir=$1 node=$2 sysctls=$3

# /proc is still the host's, where this process has another number.
read -r pid _ </proc/self/stat

# What the parts write to fixed places goes away with the node. The directory of the cluster stays, wherever it is.
mount --bind "$dir" /mnt
for place in /run /var/lib /var/log; do mount -t tmpfs -o mode=0755,size=64m node "$place"; done
mkdir -p "$dir"
mount --bind /mnt "$dir"
umount /mnt
mount -t proc proc /proc

for sysctl in $sysctls; do
  [[ -e /proc/sys/$sysctl ]] || continue
  mkdir -p "/run/sysctl/${sysctl%/*}"
  cat "/proc/sys/$sysctl" >"/run/sysctl/$sysctl"
  mount --bind "/run/sysctl/$sysctl" "/proc/sys/$sysctl"
done
# Pods may ask for mounts that spread, within this node. Not before: what is moved above would be in two places.
mount --make-rshared /
hostname "$node"

printf '%s\n' "$pid" >"$dir/nodes/$node/init.new"
mv "$dir/nodes/$node/init.new" "$dir/nodes/$node/init"

# Orphans become children of this shell, which reaps them while it waits.
while :; do
  sleep infinity &
  wait $!
done
