//go:build vm && linux

package guest

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/moby/profiles/seccomp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/vm/channel"
)

// crun on this host translates the profile as it stands in the module that Docker has it from.
func TestFilterIsWhatCrunMakesOfTheProfile(t *testing.T) {
	dir := t.TempDir()
	rootfs := filepath.Join(dir, "rootfs")
	for _, sub := range []string{"bin", "dev", "proc"} {
		require.NoError(t, os.MkdirAll(filepath.Join(rootfs, sub), 0o755))
	}
	program, err := exec.LookPath("busybox")
	require.NoError(t, err)
	text, err := os.ReadFile(program)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(rootfs, "bin", "true"), text, 0o755))
	spec, err := newSpec(channel.Container{Args: []string{"/bin/true"}, Dir: "/"}, rootfs, dir)
	require.NoError(t, err)
	spec.Linux.Seccomp, err = seccomp.GetDefaultProfile(spec)
	require.NoError(t, err)
	// The rest of the container is a guest's.
	spec.Mounts, spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = spec.Mounts[:1], nil, nil
	text, err = json.Marshal(spec)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600))
	// crun wants one hierarchy of control groups, whatever this host has. The container is made and never started.
	state := filepath.Join(dir, "state")
	create := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c",
		`mount -t cgroup2 none /sys/fs/cgroup && exec crun --root "$1" --cgroup-manager disabled create --bundle "$2" test`, "sh", state, dir)
	said, err := os.Create(filepath.Join(dir, "said")) // no pipe: the container's process would hold it
	require.NoError(t, err)
	create.Stdout, create.Stderr = said, said
	err = create.Run()
	t.Cleanup(func() { _ = exec.Command("crun", "--root", state, "delete", "--force", "test").Run() }) // a failed test shows the rest
	out, readErr := os.ReadFile(said.Name())
	require.NoError(t, errors.Join(err, readErr, said.Close()), string(out))
	made, err := os.ReadFile(filepath.Join(state, "test", "seccomp.bpf"))
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("testdata/default.bpf", made, 0o644))
	}
	requireSame(t, decodeFilter(made), decodeFilter(filter), []uint32{0, unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64})
}
