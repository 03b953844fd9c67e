package agent

import (
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
)

func TestKindFollowsConfigurationAndTools(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env    map[string]string
		tools  Tools
		want   runtime.Kind
		reason string
	}{
		{env: map[string]string{"EXECUTOR_RUNTIME": "shell"}, tools: complete(nil), want: runtime.Shell},
		{env: map[string]string{"EXECUTOR_RUNTIME": "docker"}, tools: complete(nil), want: runtime.Docker},
		{env: map[string]string{"EXECUTOR_RUNTIME": "auto", "EXECUTOR_USE_FIRECRACKER": "false"}, tools: complete(nil), want: runtime.Docker},
		{env: map[string]string{"EXECUTOR_RUNTIME": "auto", "EXECUTOR_USE_FIRECRACKER": "false"}, tools: installed(nil), reason: "runtime is not configured"},
		{env: map[string]string{"EXECUTOR_RUNTIME": "auto"}, tools: complete(nil), want: runtime.Firecracker},
		{env: map[string]string{"EXECUTOR_RUNTIME": "auto"}, tools: installed(nil), reason: "EXECUTOR_USE_FIRECRACKER=false"},
		{env: map[string]string{"EXECUTOR_RUNTIME": "docker"}, tools: installed(nil), reason: "docker, git"},
	} {
		kind, err := chooseKind(settings(t, "http://frontend.test", test.env), test.tools)
		require.Equal(t, test.want, kind, test.env)
		if test.reason == "" {
			require.NoError(t, err, test.env)
			continue
		}
		require.ErrorContains(t, err, test.reason)
		require.Equal(t, fault.Operator, fault.ClassOf(err), test.env)
	}
}

func TestRuntimesAreMadeOfTheConfiguration(t *testing.T) {
	t.Parallel()
	// The limits of 0 are those that the runtimes' options read otherwise than the environment.
	env := map[string]string{
		"EXECUTOR_STOP_GRACE_PERIOD":        "0",
		"EXECUTOR_DOCKER_PIDS_LIMIT":        "0",
		"EXECUTOR_DOCKER_ADDITIONAL_MOUNTS": "type=tmpfs,target=/scratch",
	}
	config := settings(t, "http://frontend.test", env)
	a := New(logtest.Scoped(t), config, complete(nil))
	claim, err := owner.Take(config.StateDir, owner.Record{Executor: a.name, Parents: []string{config.TempDir}})
	require.NoError(t, err)
	defer func() { require.NoError(t, claim.Close()) }()

	for kind, engine := range map[runtime.Kind]string{runtime.Shell: "", runtime.Docker: "docker"} {
		place, err := a.makeRuntime(kind, claim)
		require.NoError(t, err)
		require.Equal(t, kind, place.Capabilities().Kind)
		require.Equal(t, "step.docker.", place.Capabilities().StepPrefix)
		require.Equal(t, engine, engineOf(kind))
	}
	for _, kind := range []runtime.Kind{runtime.Firecracker, runtime.Kubernetes} {
		_, err := a.makeRuntime(kind, claim)
		require.ErrorContains(t, err, "is not in this build")
		require.Equal(t, fault.Operator, fault.ClassOf(err))
	}
}
