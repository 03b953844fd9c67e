package executorconfig

import "github.com/open-executor/executor/internal/config"

var firecrackerVariables = config.InSection("Firecracker",
	config.Variable{
		Name: "EXECUTOR_USE_FIRECRACKER", Kind: config.Bool, DefaultText: "`true` on Linux outside Kubernetes, else `false`", Users: "choice of the runtime",
		Description: "Runs each job in a microVM; needs Linux on amd64. Counts only while `EXECUTOR_RUNTIME` is `auto`.",
	},
	config.Variable{
		Name: "EXECUTOR_FIRECRACKER_IMAGE", Kind: config.String, DefaultText: "`sourcegraph/executor-vm:<version>`, `:insiders` for development builds", Users: firecracker,
		Description: "Image of the microVM's root file system, with crun, git and src: the one that is released together with the executor. `oci:` and an absolute path name an OCI image layout on this host. It is fetched at the first use, or by `executor install vm-image`.",
	},
	config.Variable{
		Name: "EXECUTOR_FIRECRACKER_KERNEL_IMAGE", Kind: config.String, Default: "sourcegraph/ignite-kernel:5.10.135-amd64", Users: firecracker,
		Description: "Without meaning here, and accepted for scripts that set it: the kernel lies in `EXECUTOR_VM_DIR`, where `executor install kernel` puts it.",
	},
	config.Variable{
		Name: "EXECUTOR_FIRECRACKER_SANDBOX_IMAGE", Kind: config.String, Default: "sourcegraph/ignite:v0.10.5", Users: firecracker,
		Description: "Without meaning here, and accepted for scripts that set it: there is no container around the microVM's monitor.",
	},
	config.Variable{
		Name: "EXECUTOR_VM_STARTUP_SCRIPT_PATH", Kind: config.Optional, Users: firecracker,
		Description: "Script on the host that is copied into each microVM, to the same path, and run there after boot. Empty: none.",
	},
	config.Variable{
		Name: "EXECUTOR_VM_PREFIX", Kind: config.String, Default: "executor", Users: firecracker,
		Description: "Begins the names of microVMs, `<prefix>-<uuid>`. Give executors on one host different prefixes.",
	},
	config.Variable{
		Name: "EXECUTOR_FIRECRACKER_DISK_SPACE", Kind: config.Size, Default: "20G", Users: firecracker,
		Description: "Disk of a job: a number with a unit, such as `20G` (powers of 1024). Told to the frontend with every runtime, in force with firecracker.",
	},
	config.Variable{
		Name: "EXECUTOR_FIRECRACKER_BANDWIDTH_INGRESS", Kind: config.Int, Default: "524288000", Users: firecracker,
		Description: "Most bytes a second that a microVM receives.",
	},
	config.Variable{
		Name: "EXECUTOR_FIRECRACKER_BANDWIDTH_EGRESS", Kind: config.Int, Default: "524288000", Users: firecracker,
		Description: "Most bytes a second that a microVM sends.",
	},
	config.Variable{
		Name: "EXECUTOR_DOCKER_REGISTRY_MIRROR_URL", Kind: config.List, Users: firecracker,
		Description: "Registry mirrors for the images of steps in microVMs, for example `http://mirror.example.com:5000`: asked in turn for images of Docker Hub before it is. Empty: none.",
	},
	config.Variable{
		Name: "EXECUTOR_VM_DIR", Kind: config.Optional, DefaultText: "`/var/lib/executor/vm` for root, else `.local/share/executor/vm` in the home directory", Users: firecracker,
		Description: "Directory, made when missing, with the microVMs' kernel, the disks made of images, and the disks of jobs.",
	},
	config.Variable{
		Name: "EXECUTOR_VM_DRIVER", Kind: config.String, Default: "auto", Users: firecracker,
		Description: "What runs microVMs: `qemu`, which also works without KVM, though several times slower; `firecracker`, which needs `/dev/kvm` and root; or `auto`: firecracker where it is installed and KVM can be used, else qemu.",
	},
	config.Variable{
		Name: "EXECUTOR_VM_POOL", Kind: config.Int, Default: "1", Users: firecracker,
		Description: "How many microVMs are kept booted for jobs to come; each takes the host's memory. A microVM runs one job and is never used again.",
	},
	config.Variable{
		Name: "EXECUTOR_VM_IMAGE_CACHE", Kind: config.Size, Default: "32G", Users: firecracker,
		Description: "How much of the host's disk the disks made of images may take, before those that are unused for the longest time go.",
	},
	config.Variable{
		Name: "EXECUTOR_VM_NETWORK", Kind: config.String, Default: "tap", Users: firecracker,
		Description: "`tap`: each microVM reaches the internet through a network of its own, and nothing private; needs root, or the capabilities to administer networks. `none`: microVMs have no network.",
	},
	config.Variable{
		Name: "EXECUTOR_VM_SUBNET", Kind: config.String, Default: "10.61.0.0/16", Users: firecracker,
		Description: "Where microVMs get their addresses from: an IPv4 network that nothing else on the host uses.",
	},
	config.Variable{
		Name: "EXECUTOR_VM_EGRESS_ALLOW", Kind: config.Optional, Users: firecracker,
		Description: "Destinations that microVMs may reach though they are private: `[tcp:|udp:]address[/bits][:port[-port]]`, separated by commas, such as `tcp:10.0.0.5:5000,10.1.0.0/16`. Empty: none.",
	},
)
