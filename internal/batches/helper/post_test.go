package helper

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// logs gives a step the output that its script would have left.
func (b *bench) logs(index string) {
	b.put("stdout"+index+".log", "")
	b.put("stderr"+index+".log", "")
}

// The diff is git's to the byte, and makes the same change elsewhere.
func TestDiffHasGitsBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{"steps":[{"run":"true"}]}`)
	b.logs("0")
	binary := string(bytes.Repeat([]byte{0, 255, 10, 13, 200}, 50))
	latin := "caf\xe9\r\nno newline at the end"
	b.put("repository/binary", binary)
	b.put("repository/latin", latin)
	b.put("repository/README", "")
	require.NoError(t, b.Post(t.Context(), 0))
	result := b.result(0)
	require.Contains(t, string(result.Diff), "GIT binary patch")
	require.Contains(t, string(result.Diff), "+caf\xe9\r\n+no newline")
	require.Equal(t, []string{"binary", "latin"}, result.ChangedFiles.Added)
	require.Contains(t, b.events.String(), base64.StdEncoding.EncodeToString(result.Diff))

	other := newBench(t, `{}`)
	other.put("state.diff", string(result.Diff))
	other.command("git", "apply", "-p0", "../state.diff")
	require.Equal(t, binary, other.get("repository/binary"))
	require.Equal(t, latin, other.get("repository/latin"))
	require.Empty(t, other.get("repository/README"))
}

func TestPostWithoutChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{"steps":[{"run":"echo hello world"}]}`)
	b.logs("0")
	require.NoError(t, b.Post(t.Context(), 0))
	lines := strings.Split(b.events.String(), "\n")
	require.Equal(t, `{"operation":"TASK_STEP","timestamp":"2023-11-14T22:13:20.120Z","status":"SUCCESS",`+
		`"metadata":{"version":2,"step":0,"diff":"","outputs":{}}}`, lines[0])
	var cached struct {
		Metadata struct {
			Key   string
			Value json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &cached))
	require.Equal(t, "deZzMP85HWs6lfhWRnMVBA-step-0", cached.Metadata.Key)
	require.JSONEq(t, b.get("step0.json"), string(cached.Metadata.Value))
}

// What a step writes to the repository's configuration neither starts programs nor changes the diff's form.
func TestConfigurationOfTheRepository(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{"steps":[{"run":"true"}]}`)
	b.logs("0")
	ran := filepath.Join(b.dir, "ran")
	b.put("evil", "#!/bin/sh\ntouch "+ran+"\n")
	require.NoError(t, os.Chmod(filepath.Join(b.dir, "evil"), 0o755))
	for name, value := range map[string]string{"diff.external": "../evil", "core.fsmonitor": "../evil", "diff.x.textconv": "../evil", "color.ui": "always",
		"diff.mnemonicPrefix": "true"} {
		b.command("git", "config", name, value)
	}
	b.put("repository/.gitattributes", "* diff=x\n")
	b.put("repository/README", "bye\n")
	require.NoError(t, b.Post(t.Context(), 0))
	require.NoFileExists(t, ran)
	require.Contains(t, string(b.result(0).Diff), "--- README\n+++ README\n@@ -1 +1 @@\n-hello\n+bye\n")
}

func TestRepositoryOfAnotherUser(t *testing.T) {
	b := newBench(t, `{"steps":[{"run":"true"}]}`)
	b.logs("0")
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1") // git's own switch for tests of this
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(b.dir, "config"))
	require.NoError(t, b.Post(t.Context(), 0))
	require.NoFileExists(t, filepath.Join(b.dir, "config"), "nobody's configuration is changed")
	b.TrustRepository = false
	require.ErrorContains(t, b.Post(t.Context(), 0), "detected dubious ownership in repository at '"+b.dir+"/repository'")
}

func TestPostRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		step  string
		spoil func(b *bench)
		want  string
	}{
		"no log": {`{}`, func(b *bench) { b.gone("stderr0.log") }, "step 1 (index 0): the step's stderr: "},
		"a log that is a link": {`{}`, func(b *bench) {
			require.NoError(b.t, os.Remove(filepath.Join(b.dir, "stdout0.log")))
			require.NoError(b.t, os.Symlink("/etc/passwd", filepath.Join(b.dir, "stdout0.log")))
		}, "not a regular file: no step may replace it"},
		"a huge log": {`{}`, func(b *bench) {
			require.NoError(b.t, os.Truncate(filepath.Join(b.dir, "stdout0.log"), logLimit+1))
		}, "stdout0.log is larger than 128 MiB, which is the most that is read"},
		"no repository": {`{}`, func(b *bench) { b.gone("repository") }, "the repository is looked for in "},
		"a repository that is a link": {`{}`, func(b *bench) {
			b.gone("repository")
			require.NoError(b.t, os.Symlink("/", b.repository()))
		}, "no step may replace it"},
		"no git":         {`{}`, func(b *bench) { b.gone("repository/.git") }, "git add --all in "},
		"output no JSON": {`{"outputs":{"o":{"value":"{","format":"json"}}}`, nil, "outputs o: the text isn't json, as its format says: unexpected EOF"},
		"output no YAML": {`{"outputs":{"o":{"value":"a: b: c","format":"yaml"}}}`, nil, "outputs o: the text isn't yaml, as its format says"},
		"output unlike JSON": {`{"outputs":{"o":{"value":"1: x","format":"yaml"}}}`, nil, "outputs o: the text isn't yaml, as its format says: json: " +
			"unsupported type"},
		"output no template": {`{"outputs":{"o":{"value":"${{"}}}`, nil, "outputs o is no template"},
		"mount that is gone": {`{"mount":[{"path":"f","mountpoint":"/m"}]}`, nil, "option -workspaceFiles"},
	} {
		b := newBench(t, `{"steps":[`+test.step+`]}`)
		b.logs("0")
		if test.spoil != nil {
			test.spoil(b)
		}
		require.ErrorContains(t, b.Post(t.Context(), 0), test.want, name)
	}
}

func (b *bench) gone(name string) {
	require.NoError(b.t, os.RemoveAll(filepath.Join(b.dir, name)))
}

func TestHugeDiff(t *testing.T) {
	t.Parallel()
	out := &capped{left: 10}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "printf 12345; printf 123456")
	cmd.Stdout = out
	require.Error(t, cmd.Run())
	require.Negative(t, out.left)
	dropping := &capped{left: 4, drop: true}
	cmd = exec.CommandContext(t.Context(), "sh", "-c", "printf 12345; printf 67")
	cmd.Stdout = dropping
	require.NoError(t, cmd.Run())
	require.Equal(t, "1234", string(dropping.kept))
}
