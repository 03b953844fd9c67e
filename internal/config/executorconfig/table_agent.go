package executorconfig

import "github.com/open-executor/executor/internal/config"

var frontendVariables = config.InSection("Frontend and queues",
	config.Variable{
		Name: "EXECUTOR_FRONTEND_URL", Kind: config.String, Required: true, Users: everyRuntime,
		Description: "Address of the frontend, or of the Sourcegraph instance, that jobs come from: `https://host[:port]`, optionally with a path. User information in it is dropped. The host `host.docker.internal` needs `EXECUTOR_DOCKER_ADD_HOST_GATEWAY=true`.",
	},
	config.Variable{
		Name: "EXECUTOR_FRONTEND_PASSWORD", Kind: config.String, Required: true, Secret: true, Users: everyRuntime,
		Description: "The shared executor token: the frontend's `FRONTEND_EXECUTOR_TOKEN`, or `executors.accessToken` in the site configuration of a Sourcegraph instance.",
	},
	config.Variable{
		Name: "EXECUTOR_QUEUE_NAME", Kind: config.Optional, Users: everyRuntime,
		Description: "The one queue to take jobs from. Exactly one of this and `EXECUTOR_QUEUE_NAMES` must be set. A queue name is a lower-case letter followed by lower-case letters, digits and dashes; Sourcegraph has `batches` and `codeintel`.",
	},
	config.Variable{
		Name: "EXECUTOR_QUEUE_NAMES", Kind: config.List, Users: everyRuntime,
		Description: "Several queues to take jobs from, for example `batches,codeintel`. White space around names is ignored.",
	},
	config.Variable{
		Name: "EXECUTOR_QUEUE_POLL_INTERVAL", Kind: config.Duration, Default: "1s", Users: everyRuntime,
		Description: "Wait after asking for a job in vain. Must be above 0.",
	},
	config.Variable{
		Name: "NODE_EXPORTER_URL", Kind: config.Optional, Users: everyRuntime,
		Description: "Base URL, without `/metrics`, of a Prometheus node exporter whose metrics travel with each heartbeat. Empty: none.",
	},
	config.Variable{
		Name: "DOCKER_REGISTRY_NODE_EXPORTER_URL", Kind: config.Optional, Users: everyRuntime,
		Description: "Base URL, without a path, of the exporter on the machine of the Docker registry mirror; its metrics travel with each heartbeat. Empty: none.",
	},
)

var jobVariables = config.InSection("Jobs",
	config.Variable{
		Name: "EXECUTOR_MAXIMUM_NUM_JOBS", Kind: config.Int, Default: "1", Users: everyRuntime,
		Description: "How many jobs run at the same time; at least 1. Each may use the CPUs and the memory below.",
	},
	config.Variable{
		Name: "EXECUTOR_KEEP_WORKSPACES", Kind: config.Bool, Default: "false", Users: "docker, shell, firecracker, kubernetes (pod per step)",
		Description: "Leaves the workspace of each job in place, for debugging. The disk fills up.",
	},
	config.Variable{
		Name: "EXECUTOR_JOB_NUM_CPUS", Kind: config.Int, Default: "4", Aliases: []string{"EXECUTOR_FIRECRACKER_NUM_CPUS"}, Users: withVM,
		Description: "CPUs that a job may use. 0: no limit (docker). Firecracker needs 1 or an even number.",
	},
	config.Variable{
		Name: "EXECUTOR_JOB_MEMORY", Kind: config.Size, Default: "12G", Aliases: []string{"EXECUTOR_FIRECRACKER_MEMORY"}, Users: withVM,
		Description: "Memory that a job may use: a number with a unit, such as `512M` or `12G` (powers of 1024). `0`: no limit (docker).",
	},
	config.Variable{
		Name: "EXECUTOR_MAXIMUM_RUNTIME_PER_JOB", Kind: config.Duration, Default: "30m", Users: everyRuntime,
		Description: "Wall-clock time after which a job is stopped. 0: no limit.",
	},
	config.Variable{
		Name: "EXECUTOR_NUM_TOTAL_JOBS", Kind: config.Int, Default: "0", Users: everyRuntime,
		Description: "The executor takes this many jobs, finishes them and exits. 0: it goes on.",
	},
	config.Variable{
		Name: "EXECUTOR_MAX_ACTIVE_TIME", Kind: config.Duration, Default: "0", Users: everyRuntime,
		Description: "After this time the executor takes no more jobs, finishes those that it has and exits. 0: it goes on.",
	},
	config.Variable{
		Name: "EXECUTOR_STOP_GRACE_PERIOD", Kind: config.Duration, Default: "10s", Users: "docker, shell",
		Description: "Time between SIGTERM and SIGKILL for a step that is stopped by a cancel, a time limit or the end of the executor. 0: killed at once.",
	},
)

var processVariables = config.InSection("Process",
	config.Variable{
		Name: "EXECUTOR_RUNTIME", Kind: config.String, Default: "auto", Users: everyRuntime,
		Description: "Where steps run: `docker`, `firecracker`, `kubernetes`, `shell` or `auto`. `auto` takes firecracker when `EXECUTOR_USE_FIRECRACKER` is true, else kubernetes when the executor runs in Kubernetes, else docker. `shell` runs steps on this host without any isolation; `auto` picks it only in a program that was built with the tag `shell`.",
	},
	config.Variable{
		Name: "EXECUTOR_DEBUG_ADDR", Kind: config.Optional, Users: everyRuntime,
		Description: "Address, `host:port`, of an HTTP server with `/metrics`, `/healthz` and `/debug/pprof`. It asks for no password: listen on `127.0.0.1` or behind a firewall. Empty: none.",
	},
	config.Variable{
		Name: "EXECUTOR_DRAIN_TIMEOUT", Kind: config.Duration, Default: "0", Users: everyRuntime,
		Description: "The first SIGINT, SIGTERM or SIGHUP lets running jobs finish. After this time they are stopped, as by a second signal. 0: the executor waits for them without limit.",
	},
	config.Variable{
		Name: "EXECUTOR_CLEANUP_TASK_INTERVAL", Kind: config.Duration, Default: "1m", Users: "docker, shell, firecracker",
		Description: "Time between two searches for what executors that died left on this host: containers, processes, microVMs. Must be above 0.",
	},
	config.Variable{
		Name: "EXECUTOR_STATE_DIR", Kind: config.Optional, DefaultText: "`open-executor-<uid>` in the temporary directory", Users: "docker, shell, firecracker",
		Description: "Directory, made when missing, with the locks by which executors see that another one still lives, so that they clean up after dead ones only. All executors that share a host and a Docker engine must share it.",
	},
)
