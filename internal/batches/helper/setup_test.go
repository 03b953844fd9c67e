package helper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/batches"
	"github.com/open-executor/executor/internal/batches/event"
)

// TestMain keeps git from the configuration of whoever runs the tests.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull, "GIT_AUTHOR_NAME": "a",
		"GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// bench is a workspace with a repository of one commit, and a helper for it.
type bench struct {
	*Helper
	t      *testing.T
	dir    string
	events bytes.Buffer
}

func newBench(t *testing.T, input string) *bench {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	b := &bench{t: t, dir: dir}
	b.Helper = &Helper{Workspace: dir, Input: "input.json", WorkspaceFiles: "workspace-files", TrustRepository: true,
		Events: event.NewLog(io.Writer(&b.events), func() time.Time { return time.UnixMilli(1_700_000_000_120) })}
	b.put("input.json", input)
	b.put("repository/README", "hello\n")
	b.command("git", "init", "-q")
	b.command("git", "add", "--all")
	b.command("git", "commit", "-qm", "first")
	return b
}

func (b *bench) put(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(b.t, os.WriteFile(path, []byte(text), 0o600))
}

func (b *bench) get(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	require.NoError(b.t, err)
	return string(text)
}

// command runs a program in the repository.
func (b *bench) command(name string, args ...string) {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), name, args...)
	cmd.Dir = b.repository()
	out, err := cmd.CombinedOutput()
	require.NoError(b.t, err, string(out))
}

// script runs a step's script as the server's commands do.
func (b *bench) script(index int) {
	b.t.Helper()
	b.command("sh", "-e", "-c", fmt.Sprintf("../step%d.sh >../stdout%[1]d.log 2>../stderr%[1]d.log", index))
}

// story runs a whole step.
func (b *bench) story(index int) {
	b.t.Helper()
	require.NoError(b.t, b.Pre(index))
	b.script(index)
	require.NoError(b.t, b.Post(b.t.Context(), index))
}

func (b *bench) result(index int) batches.Result {
	b.t.Helper()
	var result batches.Result
	require.NoError(b.t, json.Unmarshal([]byte(b.get(batches.ResultName(index))), &result))
	return result
}

// told returns the events so far as "OPERATION STATUS step".
func (b *bench) told() []string {
	b.t.Helper()
	var all []string
	for line := range strings.Lines(b.events.String()) {
		var e struct {
			Operation, Status string
			Metadata          struct{ Step *int }
		}
		require.NoError(b.t, json.Unmarshal([]byte(line), &e), line)
		text := e.Operation + " " + e.Status
		if e.Metadata.Step != nil {
			text += fmt.Sprintf(" %d", *e.Metadata.Step)
		}
		all = append(all, text)
	}
	return all
}
