package executorconfig_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/executorconfig"
)

// badValues are values with the whole text, or its beginning, of their error.
var badValues = []struct{ variable, value, want string }{
	{"EXECUTOR_FRONTEND_URL", "", `invalid value "" for EXECUTOR_FRONTEND_URL: no value supplied`},
	{"EXECUTOR_FRONTEND_URL", "frontend.test", "EXECUTOR_FRONTEND_URL must have the form http://host"},
	{"EXECUTOR_FRONTEND_URL", "http://bad host", "EXECUTOR_FRONTEND_URL is no URL: "},
	{"EXECUTOR_FRONTEND_URL", "://", "EXECUTOR_FRONTEND_URL is no URL: missing protocol scheme"},
	{"EXECUTOR_FRONTEND_URL", "http://host.docker.internal:3080", "EXECUTOR_FRONTEND_URL names the host host.docker.internal"},
	{"EXECUTOR_FRONTEND_PASSWORD", "", `invalid value "" for EXECUTOR_FRONTEND_PASSWORD: no value supplied`},
	{"EXECUTOR_FRONTEND_PASSWORD", "secret\n", "EXECUTOR_FRONTEND_PASSWORD must not begin or end with white space"},
	{"EXECUTOR_QUEUE_NAME", "", "neither EXECUTOR_QUEUE_NAME nor EXECUTOR_QUEUE_NAMES is set"},
	{"EXECUTOR_QUEUE_NAME", "Batches", `invalid queue name "Batches" in EXECUTOR_QUEUE_NAME`},
	{"EXECUTOR_QUEUE_NAME", "a,b", `invalid queue name "a,b" in EXECUTOR_QUEUE_NAME`},
	{"EXECUTOR_QUEUE_NAMES", "batches", "both EXECUTOR_QUEUE_NAME and EXECUTOR_QUEUE_NAMES are set"},
	{"EXECUTOR_QUEUE_POLL_INTERVAL", "1", `invalid duration "1" for EXECUTOR_QUEUE_POLL_INTERVAL: `},
	{"EXECUTOR_QUEUE_POLL_INTERVAL", "0", "EXECUTOR_QUEUE_POLL_INTERVAL must be at least 1ms, got 0s"},
	{"EXECUTOR_MAXIMUM_NUM_JOBS", "many", `invalid int "many" for EXECUTOR_MAXIMUM_NUM_JOBS: `},
	{"EXECUTOR_MAXIMUM_NUM_JOBS", "0", "EXECUTOR_MAXIMUM_NUM_JOBS must be at least 1, got 0"},
	{"EXECUTOR_USE_FIRECRACKER", "yes", `invalid bool "yes" for EXECUTOR_USE_FIRECRACKER: `},
	{"EXECUTOR_FIRECRACKER_IMAGE", "", `invalid value "" for EXECUTOR_FIRECRACKER_IMAGE: no value supplied`},
	{"EXECUTOR_FIRECRACKER_KERNEL_IMAGE", "", `invalid value "" for EXECUTOR_FIRECRACKER_KERNEL_IMAGE: no value supplied`},
	{"EXECUTOR_FIRECRACKER_SANDBOX_IMAGE", "", `invalid value "" for EXECUTOR_FIRECRACKER_SANDBOX_IMAGE: no value supplied`},
	{"EXECUTOR_VM_PREFIX", "", `invalid value "" for EXECUTOR_VM_PREFIX: no value supplied`},
	{"EXECUTOR_KEEP_WORKSPACES", "on", `invalid bool "on" for EXECUTOR_KEEP_WORKSPACES: `},
	{"EXECUTOR_JOB_NUM_CPUS", "", `invalid int "" for EXECUTOR_JOB_NUM_CPUS: `},
	{"EXECUTOR_JOB_NUM_CPUS", "3", "EXECUTOR_JOB_NUM_CPUS must be 1 or an even number above 0 for the firecracker runtime, got 3"},
	{"EXECUTOR_JOB_NUM_CPUS", "0", "EXECUTOR_JOB_NUM_CPUS must be 1 or an even number above 0 for the firecracker runtime, got 0"},
	{"EXECUTOR_JOB_NUM_CPUS", "-2", "EXECUTOR_JOB_NUM_CPUS must be 1 or an even number above 0 for the firecracker runtime, got -2"},
	{"EXECUTOR_FIRECRACKER_NUM_CPUS", "1.5", `invalid int "1.5" for EXECUTOR_FIRECRACKER_NUM_CPUS: `},
	{"EXECUTOR_JOB_MEMORY", "", `invalid value "" for EXECUTOR_JOB_MEMORY: no value supplied`},
	{"EXECUTOR_JOB_MEMORY", "12 gigs", `invalid size "12 gigs" for EXECUTOR_JOB_MEMORY: `},
	{"EXECUTOR_FIRECRACKER_MEMORY", "much", `invalid size "much" for EXECUTOR_FIRECRACKER_MEMORY: `},
	{"EXECUTOR_FIRECRACKER_DISK_SPACE", "", `invalid value "" for EXECUTOR_FIRECRACKER_DISK_SPACE: no value supplied`},
	{"EXECUTOR_FIRECRACKER_DISK_SPACE", "20 discs", `invalid size "20 discs" for EXECUTOR_FIRECRACKER_DISK_SPACE: `},
	{"EXECUTOR_FIRECRACKER_DISK_SPACE", "0", `invalid size "0" for EXECUTOR_FIRECRACKER_DISK_SPACE: `},
	{"EXECUTOR_FIRECRACKER_BANDWIDTH_INGRESS", "1G", `invalid int "1G" for EXECUTOR_FIRECRACKER_BANDWIDTH_INGRESS: `},
	{"EXECUTOR_FIRECRACKER_BANDWIDTH_EGRESS", "-1", "EXECUTOR_FIRECRACKER_BANDWIDTH_EGRESS must be at least 0, got -1"},
	{"EXECUTOR_MAXIMUM_RUNTIME_PER_JOB", "30", `invalid duration "30" for EXECUTOR_MAXIMUM_RUNTIME_PER_JOB: `},
	{"EXECUTOR_CLEANUP_TASK_INTERVAL", "0", "EXECUTOR_CLEANUP_TASK_INTERVAL must be at least 1ms, got 0s"},
	{"EXECUTOR_NUM_TOTAL_JOBS", "-1", "EXECUTOR_NUM_TOTAL_JOBS must be at least 0, got -1"},
	{"EXECUTOR_MAX_ACTIVE_TIME", "-1s", "EXECUTOR_MAX_ACTIVE_TIME must be at least 0s, got -1s"},
	{"EXECUTOR_DOCKER_REGISTRY_MIRROR_URL", ",mirror:5000", "element 2 of EXECUTOR_DOCKER_REGISTRY_MIRROR_URL must have the form"},
	{"EXECUTOR_DOCKER_ADD_HOST_GATEWAY", "2", `invalid bool "2" for EXECUTOR_DOCKER_ADD_HOST_GATEWAY: `},
	{"EXECUTOR_DOCKER_AUTH_CONFIG", `{"auths":`, "invalid JSON for EXECUTOR_DOCKER_AUTH_CONFIG: it ends or breaks off at byte 9"},
	{"EXECUTOR_DOCKER_AUTH_CONFIG", `{"auths":{"r.test":{"auth":5}}}`, "invalid JSON for EXECUTOR_DOCKER_AUTH_CONFIG: there is a value of the wrong kind"},
	{"EXECUTOR_DOCKER_AUTH_CONFIG", `{"auths":{"r.test":{"auth":"user:pass"}}}`, `invalid JSON for EXECUTOR_DOCKER_AUTH_CONFIG: the auth of registry "r.test" is not the base64`},
	{"EXECUTOR_DOCKER_ADDITIONAL_MOUNTS", "type=bind", "invalid mounts in EXECUTOR_DOCKER_ADDITIONAL_MOUNTS: target is required"},
	{"EXECUTOR_KUBERNETES_NODE_SELECTOR", "a=b,c", `invalid element "c" in EXECUTOR_KUBERNETES_NODE_SELECTOR`},
	{"EXECUTOR_KUBERNETES_NODE_SELECTOR", "a=b=c", `invalid element "a=b=c" in EXECUTOR_KUBERNETES_NODE_SELECTOR`},
	{"EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSIONS", "{", "invalid JSON for EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSIONS, want an array"},
	{"EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_FIELDS", "{}", "invalid JSON for EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_FIELDS, want an array"},
	{"EXECUTOR_KUBERNETES_POD_AFFINITY", "x", "invalid JSON for EXECUTOR_KUBERNETES_POD_AFFINITY, want an array"},
	{"EXECUTOR_KUBERNETES_POD_AFFINITY", `[{"topologyKey":"a"},{}]`, "element 2 of EXECUTOR_KUBERNETES_POD_AFFINITY has no topologyKey"},
	{"EXECUTOR_KUBERNETES_POD_AFFINITY", `[{},5]`, "invalid JSON for EXECUTOR_KUBERNETES_POD_AFFINITY, want an array"},
	{"EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY", "x", "invalid JSON for EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY, want an array"},
	{"EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY", "[{}]", "element 1 of EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY has no topologyKey"},
	{"EXECUTOR_KUBERNETES_NODE_TOLERATIONS", "x", "invalid JSON for EXECUTOR_KUBERNETES_NODE_TOLERATIONS, want an array"},
	{"EXECUTOR_KUBERNETES_NAMESPACE", "", `invalid value "" for EXECUTOR_KUBERNETES_NAMESPACE: no value supplied`},
	{"EXECUTOR_KUBERNETES_PERSISTENCE_VOLUME_NAME", "", `invalid value "" for EXECUTOR_KUBERNETES_PERSISTENCE_VOLUME_NAME: no value supplied`},
	{"EXECUTOR_KUBERNETES_RESOURCE_LIMIT_CPU", "two", `invalid quantity "two" for EXECUTOR_KUBERNETES_RESOURCE_LIMIT_CPU: `},
	{"EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY", "12 Gi", `invalid quantity "12 Gi" for EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY: `},
	{"EXECUTOR_KUBERNETES_RESOURCE_REQUEST_CPU", "x", `invalid quantity "x" for EXECUTOR_KUBERNETES_RESOURCE_REQUEST_CPU: `},
	{"EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY", "12GB", `invalid quantity "12GB" for EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY: `},
	{"KUBERNETES_JOB_DEADLINE", "20m", `invalid int "20m" for KUBERNETES_JOB_DEADLINE: `},
	{"KUBERNETES_JOB_DEADLINE", "0", "KUBERNETES_JOB_DEADLINE must be at least 1, got 0"},
	{"KUBERNETES_KEEP_JOBS", "x", `invalid bool "x" for KUBERNETES_KEEP_JOBS: `},
	{"KUBERNETES_RUN_AS_USER", "root", `invalid int "root" for KUBERNETES_RUN_AS_USER: `},
	{"KUBERNETES_RUN_AS_GROUP", "root", `invalid int "root" for KUBERNETES_RUN_AS_GROUP: `},
	{"KUBERNETES_FS_GROUP", "-1", "KUBERNETES_FS_GROUP must be at least 0, got -1"},
	{"KUBERNETES_SINGLE_JOB_POD", "x", `invalid bool "x" for KUBERNETES_SINGLE_JOB_POD: `},
	{"KUBERNETES_JOB_VOLUME_TYPE", "hostPath", `invalid value "hostPath" for KUBERNETES_JOB_VOLUME_TYPE: it must be emptyDir or pvc`},
	{"KUBERNETES_JOB_VOLUME_TYPE", "", `invalid value "" for KUBERNETES_JOB_VOLUME_TYPE: no value supplied`},
	{"KUBERNETES_JOB_VOLUME_SIZE", "x", `invalid quantity "x" for KUBERNETES_JOB_VOLUME_SIZE: `},
	{"KUBERNETES_JOB_VOLUME_SIZE", "", "KUBERNETES_JOB_VOLUME_SIZE must be above 0"},
	{"KUBERNETES_ADDITIONAL_JOB_VOLUMES", "x", "invalid JSON for KUBERNETES_ADDITIONAL_JOB_VOLUMES, want an array"},
	{"KUBERNETES_ADDITIONAL_JOB_VOLUMES", `[{"emptyDir":{"sizeLimit":"x"}}]`, "invalid JSON for KUBERNETES_ADDITIONAL_JOB_VOLUMES, want an array"},
	{"KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS", "x", "invalid JSON for KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS, want an array"},
	{"KUBERNETES_SINGLE_JOB_STEP_IMAGE", "", `invalid value "" for KUBERNETES_SINGLE_JOB_STEP_IMAGE: no value supplied`},
	{"KUBERNETES_JOB_ANNOTATIONS", `{"a":1}`, "invalid JSON for KUBERNETES_JOB_ANNOTATIONS, want an object"},
	{"KUBERNETES_JOB_POD_ANNOTATIONS", `[]`, "invalid JSON for KUBERNETES_JOB_POD_ANNOTATIONS, want an object"},
	{"EXECUTOR_RUNTIME", "podman", `invalid value "podman" for EXECUTOR_RUNTIME: it must be`},
	{"EXECUTOR_RUNTIME", "", `invalid value "" for EXECUTOR_RUNTIME: no value supplied`},
	{"EXECUTOR_DEBUG_ADDR", "6060", "EXECUTOR_DEBUG_ADDR must have the form host:port"},
	{"EXECUTOR_STOP_GRACE_PERIOD", "10", `invalid duration "10" for EXECUTOR_STOP_GRACE_PERIOD: `},
	{"EXECUTOR_DOCKER_PIDS_LIMIT", "-1", "EXECUTOR_DOCKER_PIDS_LIMIT must be at least 0, got -1"},
	{"EXECUTOR_VM_DRIVER", "xen", `EXECUTOR_VM_DRIVER is "xen"; it has to be auto, qemu or firecracker`},
	{"EXECUTOR_VM_POOL", "-1", "EXECUTOR_VM_POOL must be at least 0, got -1"},
	{"EXECUTOR_VM_IMAGE_CACHE", "much", `invalid size "much" for EXECUTOR_VM_IMAGE_CACHE`},
	{"EXECUTOR_VM_NETWORK", "bridge", `EXECUTOR_VM_NETWORK is "bridge"; it has to be tap or none`},
	{"EXECUTOR_VM_SUBNET", "10.61.0.0", "EXECUTOR_VM_SUBNET: "},
	{"EXECUTOR_DRAIN_TIMEOUT", "-1s", "EXECUTOR_DRAIN_TIMEOUT must be at least 0s, got -1s"},
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	tested := map[string]bool{}
	for _, test := range badValues {
		tested[test.variable] = true
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			t.Parallel()
			got := loadError(t, with(map[string]string{test.variable: test.value}), linux)
			require.True(t, strings.HasPrefix(got, test.want), got)
		})
	}
	anything := []string{"NODE_EXPORTER_URL", "DOCKER_REGISTRY_NODE_EXPORTER_URL", "EXECUTOR_VM_STARTUP_SCRIPT_PATH", "EXECUTOR_DOCKER_HOST_MOUNT_PATH", "EXECUTOR_STATE_DIR",
		"EXECUTOR_VM_DIR", "EXECUTOR_VM_EGRESS_ALLOW",
		"EXECUTOR_KUBERNETES_CONFIG_PATH", "EXECUTOR_KUBERNETES_NODE_NAME", "KUBERNETES_GIT_CA_CERT", "KUBERNETES_IMAGE_PULL_SECRETS"}
	for _, variable := range executorconfig.Variables() {
		require.NotEqual(t, slices.Contains(anything, variable.Name), tested[variable.Name], "no bad value of %s is tested", variable.Name)
	}
}

func TestRulesOnSeveralVariables(t *testing.T) {
	t.Parallel()
	withGateway := with(map[string]string{"EXECUTOR_FRONTEND_URL": "http://host.docker.internal", "EXECUTOR_DOCKER_ADD_HOST_GATEWAY": "true"})
	require.Equal(t, "host.docker.internal", load(t, withGateway, linux).Frontend.URL.Host)

	env := without("EXECUTOR_QUEUE_NAME")
	env["EXECUTOR_QUEUE_NAMES"] = "a,B,,c_d"
	require.Equal(t, 3, strings.Count(loadError(t, env, linux), "\n\t* invalid queue name "))

	freeOfFirecracker := with(map[string]string{"EXECUTOR_USE_FIRECRACKER": "false", "EXECUTOR_JOB_NUM_CPUS": "3", "EXECUTOR_FIRECRACKER_DISK_SPACE": "20 discs"})
	cfg := load(t, freeOfFirecracker, config.Host{OS: "darwin", Arch: "arm64", WorkDir: "/"})
	require.Equal(t, 3, cfg.Jobs.NumCPUs)
	require.Equal(t, "20 discs", cfg.Jobs.DiskSpace)
	freeOfFirecracker["EXECUTOR_JOB_NUM_CPUS"] = "0"
	require.Zero(t, load(t, freeOfFirecracker, linux).Jobs.NumCPUs)
	freeOfFirecracker["EXECUTOR_JOB_NUM_CPUS"] = "-1"
	require.Equal(t, "EXECUTOR_JOB_NUM_CPUS must be at least 0, got -1", loadError(t, freeOfFirecracker, linux))

	other := loadError(t, with(map[string]string{"EXECUTOR_USE_FIRECRACKER": "true"}), config.Host{OS: "darwin", Arch: "arm64", WorkDir: "/"})
	require.Contains(t, other, "2 errors occurred:\n\t* the firecracker runtime works on linux only, and this is darwin")
	require.Contains(t, other, "\n\t* the firecracker runtime works on amd64 only, and this is arm64")
}

// TestErrorsComeInTheOrderOfTheSpec breaks everything at once.
func TestErrorsComeInTheOrderOfTheSpec(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"EXECUTOR_FRONTEND_URL": "nowhere", "EXECUTOR_FRONTEND_PASSWORD": "", "EXECUTOR_QUEUE_NAME": "A",
		"EXECUTOR_QUEUE_POLL_INTERVAL": "x", "EXECUTOR_MAXIMUM_NUM_JOBS": "x", "EXECUTOR_USE_FIRECRACKER": "true",
		"EXECUTOR_FIRECRACKER_IMAGE": "", "EXECUTOR_KEEP_WORKSPACES": "x", "EXECUTOR_JOB_NUM_CPUS": "3", "EXECUTOR_JOB_MEMORY": "x",
		"EXECUTOR_FIRECRACKER_DISK_SPACE": "x", "EXECUTOR_FIRECRACKER_BANDWIDTH_EGRESS": "x", "EXECUTOR_MAXIMUM_RUNTIME_PER_JOB": "x",
		"EXECUTOR_DOCKER_ADD_HOST_GATEWAY": "x", "EXECUTOR_DOCKER_AUTH_CONFIG": "x", "EXECUTOR_DOCKER_ADDITIONAL_MOUNTS": "x",
		"EXECUTOR_KUBERNETES_NODE_SELECTOR": "x", "EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSIONS": "x",
		"EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_FIELDS": "x", "EXECUTOR_KUBERNETES_POD_AFFINITY": "[{}]",
		"EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY": "[{}]", "EXECUTOR_KUBERNETES_NODE_TOLERATIONS": "x", "EXECUTOR_KUBERNETES_NAMESPACE": "",
		"EXECUTOR_KUBERNETES_RESOURCE_LIMIT_CPU": "x", "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY": "x", "KUBERNETES_JOB_DEADLINE": "x",
		"KUBERNETES_FS_GROUP": "-1", "KUBERNETES_JOB_VOLUME_TYPE": "x", "KUBERNETES_ADDITIONAL_JOB_VOLUMES": "x",
		"KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS": "x", "KUBERNETES_JOB_ANNOTATIONS": "x", "KUBERNETES_JOB_POD_ANNOTATIONS": "x",
		"EXECUTOR_STOP_GRACE_PERIOD": "x", "EXECUTOR_DEBUG_ADDR": "x",
	}
	text := loadError(t, env, config.Host{OS: "darwin", Arch: "arm64", WorkDir: "/"})
	head, rest, ok := strings.Cut(text, "\n")
	require.True(t, ok)
	require.Equal(t, "35 errors occurred:", head)

	about := regexp.MustCompile(`[A-Z_]*(?:EXECUTOR|KUBERNETES)_[A-Z_]+|works on \w+ only`)
	var order []string
	for line := range strings.SplitSeq(rest, "\n") {
		require.True(t, strings.HasPrefix(line, "\t* "), line)
		order = append(order, about.FindString(line))
	}
	require.Equal(t, []string{
		"EXECUTOR_FRONTEND_PASSWORD", "EXECUTOR_QUEUE_POLL_INTERVAL", "EXECUTOR_MAXIMUM_NUM_JOBS", "EXECUTOR_FIRECRACKER_IMAGE", "EXECUTOR_KEEP_WORKSPACES",
		"EXECUTOR_FIRECRACKER_BANDWIDTH_EGRESS", "EXECUTOR_MAXIMUM_RUNTIME_PER_JOB", "EXECUTOR_DOCKER_ADD_HOST_GATEWAY", "EXECUTOR_KUBERNETES_NAMESPACE",
		"EXECUTOR_KUBERNETES_RESOURCE_LIMIT_CPU", "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY", "KUBERNETES_JOB_DEADLINE", "EXECUTOR_STOP_GRACE_PERIOD",

		"EXECUTOR_QUEUE_NAME", "EXECUTOR_FRONTEND_URL", "EXECUTOR_DOCKER_AUTH_CONFIG", "EXECUTOR_DOCKER_ADDITIONAL_MOUNTS",
		"EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSIONS", "EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_FIELDS",
		"KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS", "KUBERNETES_ADDITIONAL_JOB_VOLUMES", "KUBERNETES_JOB_ANNOTATIONS", "KUBERNETES_JOB_POD_ANNOTATIONS",
		"KUBERNETES_JOB_VOLUME_TYPE", "EXECUTOR_KUBERNETES_POD_AFFINITY", "EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY", "EXECUTOR_KUBERNETES_NODE_TOLERATIONS",
		"works on linux only", "works on amd64 only", "EXECUTOR_JOB_NUM_CPUS", "EXECUTOR_FIRECRACKER_DISK_SPACE", "EXECUTOR_KUBERNETES_NODE_SELECTOR",

		"KUBERNETES_FS_GROUP", "EXECUTOR_JOB_MEMORY", "EXECUTOR_DEBUG_ADDR",
	}, order)
}
