package executorconfig

import (
	"slices"

	"github.com/open-executor/executor/internal/config"
)

// table is the single source for parsing, `run --help` and docs/configuration.md.
var table = config.Table{
	Variables: slices.Concat(frontendVariables, jobVariables, processVariables, dockerVariables, firecrackerVariables, kubernetesVariables, kubernetesJobVariables),
	Also:      also,
}

// Variables returns the executor's variables in the order of the documentation.
func Variables() []config.Variable { return slices.Clone(table.Variables) }

// HelpText describes all variables for `executor run --help`.
func HelpText() string { return table.HelpText() }

// Markdown describes all variables in tables whose headings have the given level.
func Markdown(level int) string { return table.Markdown(level) }

// Users of variables.
const (
	everyRuntime = "all"
	docker       = "docker"
	firecracker  = "firecracker"
	kubernetes   = "kubernetes"
	withVM       = "docker, firecracker"
	singlePod    = "kubernetes (single job pod)"
	podPerStep   = "kubernetes (pod per step)"
)

var also = []config.Also{
	{
		Names:       []string{"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"},
		Description: "Set by Kubernetes in every pod. When both are there, the executor counts as running in Kubernetes: `EXECUTOR_USE_FIRECRACKER` is then false by default, the runtime `auto` picks Kubernetes, and docker and src are not needed.",
	},
	{
		Names:       []string{"TMPDIR"},
		Description: "Directory of the workspaces, made when missing. Default: `/tmp`.",
	},
	{
		Names:       []string{"HOSTNAME"},
		Description: "Begins the executor's name, `<hostname>-<uuid>`. Default: the operating system's host name.",
	},
	{
		Names:       []string{"HOME", "PATH", "USER", "DOCKER_HOST"},
		Description: "Passed on to git, docker and src, empty when unset. `HOME` is also where the kubeconfig file is looked for, `PATH` where programs are.",
	},
	{
		Names:       []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"},
		Description: "Used for requests to the frontend and, when set, passed on to git, docker and src.",
	},
	{
		Names:       []string{"SRC_LOG_LEVEL", "SRC_LOG_FORMAT", "SRC_LOG_SCOPE_LEVEL", "SRC_LOG_SAMPLING_INITIAL", "SRC_LOG_SAMPLING_THEREAFTER", "SRC_DEVELOPMENT"},
		Description: "Logging on standard error. Level: `debug`, `info`, `warn` (default), `error`, `none`. Format: `json` (default), `json_gcp`, `console`. Scope level: `scope=level,…`. Sampling: how many equal messages a second are logged. `SRC_DEVELOPMENT=true`: for reading in a terminal.",
	},
}
