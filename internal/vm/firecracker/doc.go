// Package firecracker runs microVMs with Firecracker, jailed by its jailer. It is written against the API and the jailer of release 1.12,
// of which it uses what 1.7 has too, but for the change of a tap's name when a snapshot is loaded.
//
// A machine is one directory, Options.Dir/<program>/<name>, with the jail in root: what the guest needs lies there under names of ours, as
// hard links to the files that were given. The jail's directories are the machine's uid's, which no other living machine has, and are
// taken for hostile once the monitor runs: nothing in them is opened through a link.
//
// Processes: the jailer becomes the monitor, and on the way loses its environment and, with its privileges, the signal that would kill it
// when the executor dies. So it isn't the executor's own child but that of a keeper, a shell which is the first process of a PID namespace
// and does nothing but wait. The keeper has the environment by which leftovers are found and dies with the executor, and when the first
// process of a PID namespace ends, the kernel kills all others in it. The jailer's own namespace (--new-pid-ns) would make the monitor the
// first process, without these marks, and leave us without the process to wait for. What a killed executor leaves is files: Remove takes
// them away.
package firecracker
