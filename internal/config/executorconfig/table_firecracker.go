package executorconfig

import "github.com/open-executor/executor/internal/config"

var firecrackerVariables = config.InSection("Firecracker",
	config.Variable{
		Name: "EXECUTOR_USE_FIRECRACKER", Kind: config.Bool, DefaultText: "`true` on Linux outside Kubernetes, else `false`", Users: "choice of the runtime",
		Description: "Runs each job in a microVM; needs Linux on amd64. Counts only while `EXECUTOR_RUNTIME` is `auto`.",
	},
	config.Variable{
		Name: "EXECUTOR_FIRECRACKER_IMAGE", Kind: config.String, DefaultText: "`sourcegraph/executor-vm:<version>`, `:insiders` for development builds", Users: firecracker,
		Description: "Image of the microVM's root file system.",
	},
	config.Variable{
		Name: "EXECUTOR_FIRECRACKER_KERNEL_IMAGE", Kind: config.String, Default: "sourcegraph/ignite-kernel:5.10.135-amd64", Users: firecracker,
		Description: "Image of the microVM's kernel.",
	},
	config.Variable{
		Name: "EXECUTOR_FIRECRACKER_SANDBOX_IMAGE", Kind: config.String, Default: "sourcegraph/ignite:v0.10.5", Users: firecracker,
		Description: "Image of the container around the microVM's monitor.",
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
		Description: "Registry mirrors for the Docker engine inside microVMs, for example `http://mirror.example.com:5000`. Empty: none.",
	},
)
