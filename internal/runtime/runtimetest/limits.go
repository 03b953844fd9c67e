package runtimetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
)

// put writes a file into the workspace from outside of the step.
func (b *bundle) put(t *testing.T, name, content string) {
	t.Helper()
	if b.Put != nil {
		require.NoError(t, b.Put(t.Context(), b.session, name, []byte(content)))
		return
	}
	making := filepath.Join(b.job.WorkspaceDir, name+".making")
	require.NoError(t, os.WriteFile(making, []byte(content), 0o755))
	require.NoError(t, os.Rename(making, filepath.Join(b.job.WorkspaceDir, name)))
}

// missingImage is one of a registry that refuses connections.
const missingImage = "127.0.0.1:1/missing:1"

// testMissingImage asks for an image that can't be had.
func testMissingImage(t *testing.T, b *bundle) {
	step := b.step(t, "image", "echo ran")
	step.Image = missingImage
	err := b.session.Run(t.Context(), step)
	var exit *command.ExitError
	require.ErrorAs(t, err, &exit)
	require.ErrorContains(t, err, "image 127.0.0.1:1/missing:1 could not be pulled")
	out := b.log.Entry(t, step.Key).Out
	require.Regexp(t, `(?m)^The step did not start: image 127\.0\.0\.1:1/missing:1 could not be pulled: .*(refused|no such host|not known).*\.$`, out)
	require.NotContains(t, out, "stdout: ran")
}

func testBadImage(t *testing.T, b *bundle) {
	for name, image := range map[string]string{"option": "--privileged", "blank": "two words", "break": "a\nb"} {
		step := b.step(t, name, "echo ran")
		step.Image = image
		err := b.session.Run(t.Context(), step)
		require.Errorf(t, err, "image %q", image)
		require.Equalf(t, fault.User, fault.ClassOf(err), "image %q", image)
		requireRefused(t, b, step.Key)
	}
}

// devour needs ever more memory.
const devour = "x=0123456789abcdef; while true; do x=$x$x; done"

func testOutOfMemory(t *testing.T, b *bundle) {
	entry, err := b.run(t, "memory", devour)
	var exit *command.ExitError
	require.ErrorAs(t, err, &exit)
	require.Contains(t, entry.Out, "The step was killed: out of memory (limit "+b.MemoryLimit+").\n")
	require.ErrorContains(t, err, "out of memory")
}

func testOutOfMemoryOfAChild(t *testing.T, b *bundle) {
	entry, err := b.run(t, "memory", "sh -c '"+devour+"'; exit 2")
	var exit *command.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.Code)
	require.Contains(t, entry.Out, "A process of the step was killed: out of memory (limit "+b.MemoryLimit+").\n")
}
