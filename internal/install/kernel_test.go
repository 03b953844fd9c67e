package install

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

func TestDependency(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "",
		"linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-1-cloud-amd64\n  Depends: other\n": "linux-image-6.1.0-1-cloud-amd64",
		"linux-image-cloud-amd64\n  Suggests: x\n":                                                "",
	} {
		require.Equal(t, want, dependency(text))
	}
}

func TestKernelNamesWhatItLacks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := Kernel{Tree: dir, Dir: filepath.Join(dir, "kernel")}.Install(t.Context())
	require.ErrorContains(t, err, "--agent")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	err = Kernel{Tree: dir, Agent: filepath.Join(dir, "vmagent"), Dir: filepath.Join(dir, "kernel")}.Install(t.Context())
	require.ErrorContains(t, err, "boot/vmlinuz-*")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	require.NoDirExists(t, filepath.Join(dir, "kernel"))
}
