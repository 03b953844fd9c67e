package executorconfig_test

import (
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/executorconfig"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	memory := corev1.ResourceList{corev1.ResourceMemory: quantity(t, "12Gi")}
	require.Equal(t, executorconfig.Config{
		Runtime:  executorconfig.RuntimeAuto,
		Hostname: "machine",
		TempDir:  "/tmp",
		StateDir: "/tmp/open-executor-1000",
		Frontend: executorconfig.Frontend{
			URL:      &url.URL{Scheme: "http", Host: "frontend.test:3080"},
			Password: config.NewSecret("hunter2-hunter2-hunter2"),
		},
		Queues: executorconfig.Queues{Names: []string{"batches"}, PollInterval: time.Second},
		Jobs: executorconfig.Jobs{
			Maximum: 1, MaximumRuntime: 30 * time.Minute, StopGracePeriod: 10 * time.Second, NumCPUs: 4, Memory: "12G", DiskSpace: "20G",
		},
		Docker: executorconfig.Docker{PidsLimit: 4096},
		Firecracker: executorconfig.Firecracker{
			Enabled:          true,
			Image:            "sourcegraph/executor-vm:5.4.3",
			KernelImage:      "sourcegraph/ignite-kernel:5.10.135-amd64",
			SandboxImage:     "sourcegraph/ignite:v0.10.5",
			VMPrefix:         "executor",
			DiskSpaceBytes:   20 << 30,
			CleanupInterval:  time.Minute,
			BandwidthIngress: 524288000,
			BandwidthEgress:  524288000,
			MemoryBytes:      12 << 30,
			VMDir:            "/var/lib/executor/vm",
			Driver:           executorconfig.DriverAuto,
			Pool:             1,
			ImageCacheBytes:  32 << 30,
			Network:          true,
			Subnet:           netip.MustParsePrefix("10.61.0.0/16"),
		},
		Kubernetes: executorconfig.Kubernetes{
			Namespace:             "default",
			PersistenceVolumeName: "sg-executor-pvc",
			Resources:             corev1.ResourceRequirements{Limits: memory, Requests: memory},
			JobDeadlineSeconds:    1200,
			FSGroup:               1000,
			SingleJobPod:          true,
			JobVolume:             executorconfig.JobVolume{Type: executorconfig.JobVolumeEmptyDir, Size: quantity(t, "5Gi")},
			StepImage:             "sourcegraph/executor-kubernetes:5.4.3",
		},
	}, load(t, minimal, linux))
}

func TestDefaultsThatDependOnTheSurroundings(t *testing.T) {
	t.Parallel()
	pod := with(map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"})
	mac := linux
	mac.OS = "darwin"

	require.True(t, load(t, minimal, linux).Firecracker.Enabled)
	require.False(t, load(t, pod, linux).Firecracker.Enabled)
	require.False(t, load(t, minimal, mac).Firecracker.Enabled)

	require.True(t, load(t, pod, linux).InKubernetes)
	require.False(t, load(t, with(map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}), linux).InKubernetes, "both are needed")

	for version, tag := range map[string]string{"": "insiders", "dev": "insiders", "0.0.0+dev": "insiders", "5.1.0": "5.1.0", "300_2024-02-03_5.1-abc": "300_2024-02-03_5.1-abc"} {
		host := linux
		host.Version = version
		require.Equal(t, "sourcegraph/executor-vm:"+tag, load(t, minimal, host).Firecracker.Image)
	}

	home := load(t, with(map[string]string{"HOME": "/home/me", "HOSTNAME": "pod-1", "TMPDIR": "var/tmp"}), linux)
	require.Equal(t, "/home/me/.kube/config", home.Kubernetes.ConfigPath)
	require.Equal(t, "pod-1", home.Hostname)
	require.Equal(t, "/wd/var/tmp", home.TempDir)
	require.Equal(t, "/wd/var/tmp/open-executor-1000", home.StateDir)
	set := load(t, with(map[string]string{"HOME": "/home/me", "EXECUTOR_KUBERNETES_CONFIG_PATH": ""}), linux)
	require.Equal(t, "/home/me/.kube/config", set.Kubernetes.ConfigPath, "empty is like unset")
}

func TestRuntimeDecidesAboutFirecracker(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		runtime, useFirecracker string
		want                    bool
	}{
		{"auto", "true", true},
		{"auto", "false", false},
		{"firecracker", "false", true},
		{"docker", "true", false},
		{"kubernetes", "true", false},
		{"shell", "true", false},
	} {
		cfg := load(t, with(map[string]string{"EXECUTOR_RUNTIME": test.runtime, "EXECUTOR_USE_FIRECRACKER": test.useFirecracker}), linux)
		require.Equal(t, test.want, cfg.Firecracker.Enabled, test)
		require.Equal(t, executorconfig.Runtime(test.runtime), cfg.Runtime)
	}
}
