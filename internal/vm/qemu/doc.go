// Package qemu runs microVMs with QEMU's microvm machine: with KVM where a guest really runs with it, else by translation (TCG).
//
// A machine is one process that holds all it needs as open files: it is given no path, no socket with a name, no network device that
// outlives it. The end of the process is the end of everything.
package qemu
