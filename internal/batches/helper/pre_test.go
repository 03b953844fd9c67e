package helper

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestScript(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{"steps":[{"run":"echo ${{ repository.name }}","env":["TAKEN",{"B":"it's $HOME"},{"A":"plain-1.2"}],
		"files":{"/tmp/z y":"Z","-a":"A"},"mount":[{"path":"dir","mountpoint":"/m"},{"path":"dir/it's","mountpoint":"-n"}]}],"repository":{"name":"r"}}`)
	b.put("workspace-files/dir/it's", "x")
	b.Environ = []string{"TAKEN=secret", "OTHER=no"}
	require.NoError(t, b.Pre(0))
	require.Equal(t, strings.ReplaceAll(`export A=plain-1.2
export B='it'"'"'s $HOME'
export TAKEN=secret
cp W/step0files/file0 ./-a
chmod +x ./-a
cp W/step0files/file1 '/tmp/z y'
chmod +x '/tmp/z y'
cp -r W/workspace-files/dir/ /m
chmod -R +x /m
cp -r 'W/workspace-files/dir/it'"'"'s' ./-n
chmod -R +x ./-n
echo r`, "W", b.dir), b.get("step0.sh"))
	require.Equal(t, "A", b.get("step0files/file0"))
	info, err := os.Stat(filepath.Join(b.dir, "step0.sh"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode())
	require.Equal(t, `{"operation":"TASK_STEP","timestamp":"2023-11-14T22:13:20.120Z","status":"STARTED",`+
		`"metadata":{"step":1,"env":{"A":"plain-1.2","B":"it's $HOME","TAKEN":"secret"}}}`+"\n", b.events.String())
	require.ErrorContains(t, b.Pre(0), "step 1 (index 0): the directory of the step's files, which has to be new")
}

func TestPreRefuses(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]string{
		`{"mount":[{"path":"../input.json","mountpoint":"/m"}]}`: `mount "../input.json" lies outside of the directory of the batch spec`,
		`{"mount":[{"path":"/etc/passwd","mountpoint":"/m"}]}`:   `mount "/etc/passwd" lies outside`,
		`{"mount":[{"path":"","mountpoint":"/m"}]}`:              `mount "" lies outside`,
		`{"mount":[{"path":"a\u0000b","mountpoint":"/m"}]}`:      `lies outside`,
		`{"mount":[{"path":"absent","mountpoint":"/m"}]}`:        `mount "absent": absent does not exist in `,
		`{"mount":[{"path":"link","mountpoint":"/m"}]}`:          `link is L---------: only files and directories can be mounted`,
		`{"mount":[{"path":"dirlink/f","mountpoint":"/m"}]}`:     `dirlink is no directory`,
		`{"mount":[{"path":"deep","mountpoint":"/m"}]}`:          `link is L---------`,
		`{"mount":[{"path":"f","mountpoint":""}]}`:               `mount: "" is no path in the step's container`,
		`{"files":{"":"x"}}`:                                     `files: "" is no path`,
		`{"files":{"/f":"${{"}}`:                                 `files /f is no template of a batch spec`,
		`{"env":{"A;B":"x"}}`:                                    `env: "A;B" can't be the name of a variable`,
		`{"env":{"A":"a\u0000b"}}`:                               `env A has a NUL`,
		`{"env":{"A":"${{ x }}"}}`:                               `env A is no template`,
		`{"run":"${{ x }}"}`:                                     `step 1 (index 0): run is no template`,
		`{"if":"${{ x }}"}`:                                      `step 1 (index 0): if is no template`,
		`{"if":3}`:                                               `if is 3, neither true, false nor a text`,
	} {
		b := newBench(t, `{"steps":[`+step+`]}`)
		b.put("workspace-files/f", "x")
		b.put("workspace-files/deep/er/f", "x")
		for name, target := range map[string]string{"link": "/etc/passwd", "dirlink": "deep/er", "deep/er/link": "../../f"} {
			require.NoError(t, os.Symlink(target, filepath.Join(b.dir, "workspace-files", name)))
		}
		require.ErrorContains(t, b.Pre(0), want, step)
		require.NoFileExists(t, filepath.Join(b.dir, "step0.sh"))
	}
	b := newBench(t, `{"steps":[{"mount":[{"path":"f","mountpoint":"/m"}]}]}`)
	require.ErrorContains(t, b.Pre(0), "workspace-files (option -workspaceFiles): lstat")
	require.NoError(t, os.Symlink("/etc", filepath.Join(b.dir, "workspace-files")))
	require.ErrorContains(t, b.Pre(0), "it is no directory")
	require.ErrorContains(t, b.Pre(1), "there is no step 1: the input has 1 steps, counted from 0")
}

// A step can leave a link where the next script or result is to be written. What it points at stays as it is.
func TestLinksAreReplacedNotFollowed(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{"steps":[{"run":"echo a"}]}`)
	target := filepath.Join(t.TempDir(), "target")
	require.NoError(t, os.WriteFile(target, []byte("precious"), 0o600))
	for _, name := range []string{"step0.sh", "step0.json", "skip.json"} {
		require.NoError(t, os.Symlink(target, filepath.Join(b.dir, name)))
	}
	b.story(0)
	text, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "precious", string(text))
}

// An absolute path to a mount is fine below the workspace files, and both options may be absolute, as in Kubernetes.
func TestAbsolutePaths(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "f"), []byte("x"), 0o600))
	input, err := json.Marshal(map[string]any{"steps": []any{map[string]any{}, map[string]any{"run": "echo ${{ previous_step.stdout }}",
		"mount": []any{map[string]any{"path": filepath.Join(elsewhere, "f"), "mountpoint": "/m"}}}}})
	require.NoError(t, err)
	b := newBench(t, "")
	b.Input, b.PreviousDir, b.WorkspaceFiles = filepath.Join(elsewhere, "in.json"), elsewhere, elsewhere
	require.NoError(t, os.WriteFile(b.Input, input, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "step0.json"), []byte(`{"stdout":"of version 1","diff":""}`), 0o600))
	require.NoError(t, b.Pre(1))
	require.Equal(t, "cp -r "+elsewhere+"/f /m\nchmod -R +x /m\necho of version 1", b.get("step1.sh"))
}

// Real sh reads back exactly the words that were quoted, and the variables that were exported.
func TestQuotedWordsSurviveSh(t *testing.T) {
	t.Parallel()
	word := rapid.OneOf(
		rapid.String(),
		rapid.StringOfN(rapid.SampledFrom([]rune("'\"\\$`!~*?[]{}()<>|&;# \t\n=-a%")), 0, 12, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return string(b) }),
	).Filter(func(s string) bool { return !strings.ContainsRune(s, 0) })
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(word, 1, 20).Draw(t, "words")
		script := "printf '%s\\0'"
		for _, w := range words {
			script += " " + quote(w)
		}
		script += "\nexport V=" + quote(words[0]) + "\nsh -c 'printf \"%s\\0\" \"$V\"'\n"
		out, err := exec.Command("sh", "-c", script).Output()
		if want := strings.Join(append(words, words[0], ""), "\x00"); err != nil || string(out) != want {
			t.Fatalf("%v: %q became %q", err, want, out)
		}
	})
}
