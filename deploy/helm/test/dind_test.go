package manifests

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func mounts(container corev1.Container) map[string]string {
	all := map[string]string{}
	for _, mount := range container.VolumeMounts {
		all[mount.Name] = mount.MountPath
	}
	return all
}

// The engine is up before the executor and ends after it, listens on a socket that both see and on nothing else, and finds workspaces where the executor does.
func TestTheEngineBesideAnExecutor(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"helm/executor/dind", "helm/executor/dind-rootless", "kustomize/dind"} {
		objects := example(t, name)
		template, err := Template(one(t, objects, "Deployment"))
		require.NoError(t, err)
		require.Len(t, template.Spec.InitContainers, 1)
		require.Len(t, template.Spec.Containers, 1)
		engine, executor := template.Spec.InitContainers[0], template.Spec.Containers[0]
		plain, _ := environment(t, objects, executor)

		require.Equal(t, corev1.ContainerRestartPolicyAlways, *engine.RestartPolicy, name)
		require.NotNil(t, engine.StartupProbe, name)
		require.Empty(t, engine.Ports, name)
		require.Equal(t, "docker", plain["EXECUTOR_RUNTIME"], name)
		require.Equal(t, "unix:///dind/docker.sock", plain["DOCKER_HOST"], name)
		require.Equal(t, "dockerd", engine.Args[0], "another first word, and the image's entrypoint opens ports")
		require.Contains(t, engine.Args, "--host="+plain["DOCKER_HOST"], name)
		for _, arg := range engine.Args {
			require.NotContains(t, arg, "tcp://", name)
		}
		for _, volume := range []string{"docker-socket", "workspaces"} {
			require.NotEmpty(t, mounts(engine)[volume], name)
			require.Equal(t, mounts(executor)[volume], mounts(engine)[volume], name)
		}
		require.Equal(t, plain["TMPDIR"], mounts(engine)["workspaces"], name)
		require.NotContains(t, mounts(executor), "docker-data", name)

		rootless := name == "helm/executor/dind-rootless"
		require.Equal(t, !rootless, engine.SecurityContext.RunAsUser != nil && *engine.SecurityContext.RunAsUser == 0, name)
		if rootless {
			require.Equal(t, []string{"0", "0"}, []string{plain["EXECUTOR_JOB_NUM_CPUS"], plain["EXECUTOR_JOB_MEMORY"]}, "docker run would fail")
			require.Contains(t, engine.Image, "rootless")
		} else {
			require.Contains(t, engine.Args, "--group=1000", "the executor's user couldn't use the socket")
			require.NotContains(t, engine.Image, "rootless")
		}
	}
}
