package firecracker

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/open-executor/executor/internal/vm"
)

// Names in the jail. The API's socket is where the monitor puts it unless told otherwise.
const (
	kernelName, initramfsName = "vmlinux", "initramfs"
	apiSocket, vsockSocket    = "run/firecracker.socket", "run/agent.socket"
)

const (
	// guestCID is the guest's address on its vsock, the lowest one that a guest may have. Machines don't see each other's.
	guestCID = 3
	// interfaceID names the guest's one network interface to the monitor.
	interfaceID = "network"
	// parentCgroup is where machines' control groups are made.
	parentCgroup = "open-executor"
	// overhead is what the monitor may need beside the guest's memory, in bytes: about 5 MiB, and some cache for the drives. The kernel's
	// page tables, the host's and KVM's, come to two times 1/512 of the memory; tableShare leaves twice that.
	overhead, tableShare = 128 << 20, 128
	// maxThreads are the monitor's, beside one for each CPU; maxFiles its open files.
	maxThreads, maxFiles = 16, 1024
)

var validName = regexp.MustCompile(`^[a-zA-Z0-9-]{1,60}$`)

// check refuses what would do harm; the monitor itself refuses the rest.
func check(machine vm.Machine) error {
	if !validName.MatchString(machine.Name) {
		return fmt.Errorf("the name %q: it has to be 1 to 60 letters, digits and hyphens", machine.Name)
	}
	if machine.CPUs < 1 || machine.Memory < 1<<20 {
		return fmt.Errorf("machine %s: it has %d CPUs and %d bytes of memory", machine.Name, machine.CPUs, machine.Memory)
	}
	return nil
}

// kernelArguments make the kernel quiet, end the machine when it panics or restarts (the monitor ends when the keyboard controller resets
// the machine), and spare it the search for devices that the monitor doesn't have. The console stays on, else nothing would tell why a
// guest doesn't boot; what it prints is bounded on this side.
func kernelArguments(machine vm.Machine) string {
	words := []string{
		"console=ttyS0", "quiet", "loglevel=3", "reboot=k", "panic=-1", "pci=off", "i8042.noaux", "i8042.nomux", "i8042.dumbkbd",
		"rdinit=/init", "random.trust_cpu=on",
	}
	return strings.Join(append(words, machine.Arguments...), " ")
}

// jailerArguments are the jailer's. There is nothing for the monitor itself: its defaults are the strictest seccomp filters and the socket
// at apiSocket.
func (d *Driver) jailerArguments(i *instance) []string {
	id := strconv.Itoa(i.user.uid)
	return []string{
		"--id", i.machine.Name,
		"--exec-file", d.program,
		"--uid", id, "--gid", id,
		"--chroot-base-dir", d.options.Dir,
		"--cgroup-version", "2",
		"--parent-cgroup", parentCgroup,
		"--cgroup", fmt.Sprintf("memory.max=%d", i.machine.Memory+i.machine.Memory/tableShare+overhead),
		"--cgroup", fmt.Sprintf("pids.max=%d", i.machine.CPUs+maxThreads),
		"--resource-limit", fmt.Sprintf("fsize=%d", i.largest),
		"--resource-limit", fmt.Sprintf("no-file=%d", maxFiles),
	}
}

// configuration are the requests that make a fresh monitor start the machine. There are no rate limiters: the tap is limited by
// network.Options.
func configuration(machine vm.Machine) []request {
	requests := []request{
		quiet(),
		put("/machine-config", map[string]any{"vcpu_count": machine.CPUs, "mem_size_mib": machine.Memory >> 20}),
		put("/boot-source", map[string]any{
			"kernel_image_path": "/" + kernelName, "initrd_path": "/" + initramfsName, "boot_args": kernelArguments(machine),
		}),
	}
	for n, drive := range machine.Drives {
		requests = append(requests, put("/drives/"+driveID(n), map[string]any{
			"drive_id": driveID(n), "path_on_host": "/" + driveFile(n, 0), "is_root_device": false, "is_read_only": drive.ReadOnly,
		}))
	}
	if link := machine.Link; link != nil {
		requests = append(requests, put("/network-interfaces/"+interfaceID, map[string]any{
			"iface_id": interfaceID, "host_dev_name": link.Name, "guest_mac": link.MAC.String(),
		}))
	}
	return append(requests,
		put("/vsock", map[string]any{"guest_cid": guestCID, "uds_path": filepath.Join("/", vsockSocket)}),
		put("/entropy", map[string]any{}),
		put("/actions", map[string]any{"action_type": "InstanceStart"}),
	)
}

// quiet leaves the log where it goes anyway, which is to the output that we bound, but only with what matters.
func quiet() request { return put("/logger", map[string]any{"level": "Warning"}) }

func put(path string, body any) request {
	return request{method: http.MethodPut, path: path, body: body}
}
func patch(path string, body any) request {
	return request{method: http.MethodPatch, path: path, body: body}
}

func driveID(n int) string            { return "drive" + strconv.Itoa(n) }
func driveFile(n, version int) string { return fmt.Sprintf("drive%d-%d", n, version) }
