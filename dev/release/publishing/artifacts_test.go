package publishing

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// place is a directory that dev/lib/artifacts.sh publishes to, with a directory that can be published.
type place struct{ root, staged string }

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{root: filepath.Join(t.TempDir(), "place"), staged: t.TempDir()}
	p.stage(t, "old")
	return p
}

func (p place) stage(t *testing.T, commit string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(p.staged, "sub"), 0o700))
	for _, name := range []string{"sub/file", "COMMIT", "SHA256SUMS"} {
		require.NoError(t, os.WriteFile(filepath.Join(p.staged, name), []byte(commit+"\n"), 0o600))
	}
}

// bash runs commands with the library at hand, in a session of its own, which is named by its process, and returns how they ended and what they said.
func (p place) bash(t *testing.T, commands string, environment ...string) (code int, stdout, stderr string) {
	t.Helper()
	bash := exec.Command("bash", "-euo", "pipefail", "-c", fmt.Sprintf("source %q; trap artifacts_close EXIT; artifacts_open 'file://%s'\n%s", ours(t, "dev/lib/artifacts.sh"), p.root, commands), "test")
	bash.Env = append(append(os.Environ(), "staged="+p.staged), environment...)
	bash.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var out, said bytes.Buffer
	bash.Stdout, bash.Stderr = &out, &said
	if err := bash.Run(); err != nil {
		require.NotZero(t, bash.ProcessState.ExitCode(), err)
	}
	return bash.ProcessState.ExitCode(), out.String(), said.String()
}

// shown is the commit whose files a name shows, all of them.
func (p place) shown(t *testing.T, name string) string {
	t.Helper()
	commits := make(map[string]bool)
	for _, file := range []string{"sub/file", "COMMIT", "SHA256SUMS"} {
		content, err := os.ReadFile(filepath.Join(p.root, name, file))
		require.NoError(t, err)
		commits[strings.TrimSpace(string(content))] = true
	}
	require.Len(t, commits, 1)
	for commit := range commits {
		return commit
	}
	return ""
}

// failing are the programs that change a directory, such that the n-th call of any of them fails, or kills everything before or after its work.
func failing(t *testing.T, n int, how string) (path string) {
	t.Helper()
	bin, counter := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	for _, name := range []string{"chmod", "cp", "find", "ln", "mkdir", "mv", "sync"} {
		text := fmt.Sprintf(`#!/bin/sh
PATH=${PATH#*:}
read -r _ _ _ _ _ session _ </proc/self/stat
echo >>%[2]q
if test "$(wc -l <%[2]q)" -eq %[3]d; then
  case %[4]s in
    fail) exit 1 ;;
    before) kill -KILL "$session" 0 ;;
    after) %[1]s "$@"; kill -KILL "$session" 0 ;;
  esac
fi
exec %[1]s "$@"
`, name, counter, n, how)
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755))
	}
	return "PATH=" + bin + ":" + os.Getenv("PATH")
}

const publish = `artifacts_put_dir "$staged" %[1]s sub/file COMMIT SHA256SUMS
artifacts_switch latest %[1]s sub/file COMMIT SHA256SUMS
`

// Wherever publishing ends, latest/ shows the old files or the new ones, whole, and doing it again does it.
func TestInterruptedPublishingLeavesLatest(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"fail", "before", "after"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			interrupted := 0
			for {
				p := newPlace(t)
				require.NoError(t, os.Mkdir(p.root, 0o755))
				require.NoError(t, os.Symlink("old", filepath.Join(p.root, "latest")))
				require.NoError(t, os.CopyFS(filepath.Join(p.root, "old"), os.DirFS(p.staged)))
				p.stage(t, "new")

				code, _, stderr := p.bash(t, fmt.Sprintf(publish, "new"), failing(t, interrupted+1, how))
				if code == 0 {
					require.Equal(t, "new", p.shown(t, "latest"), stderr)
					break
				}
				require.Contains(t, []string{"old", "new"}, p.shown(t, "latest"))
				if how == "fail" {
					left, err := filepath.Glob(filepath.Join(p.root, ".new-*"))
					require.NoError(t, err)
					require.Empty(t, left)
				}
				if _, err := os.Stat(filepath.Join(p.root, "new")); err == nil {
					require.Equal(t, "new", p.shown(t, "new"), "a directory is whole or not there")
					require.NoError(t, os.RemoveAll(filepath.Join(p.root, "new")))
				}
				code, _, stderr = p.bash(t, fmt.Sprintf(publish, "new"))
				require.Zero(t, code, stderr)
				require.Equal(t, "new", p.shown(t, "latest"))
				interrupted++
			}
			require.Equal(t, 8, interrupted, "every step was interrupted")
		})
	}
}

func TestPublishedFilesAreForEverybody(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	code, _, stderr := p.bash(t, "umask 077\n"+fmt.Sprintf(publish, "old"))
	require.Zero(t, code, stderr)
	for name, mode := range map[string]os.FileMode{"old": 0o755, "old/sub": 0o755, "old/sub/file": 0o644} {
		info, err := os.Stat(filepath.Join(p.root, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
}

func TestDirectoriesEndWithTheirMark(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	code, _, stderr := p.bash(t, `artifacts_put_dir "$staged" old SHA256SUMS COMMIT`)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "SHA256SUMS must be the last file of a directory")
	require.NoDirExists(t, p.root)
}

func TestSmallFiles(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	code, stdout, stderr := p.bash(t, `
status=0; artifacts_read published/family || status=$?; echo "absent: $status"
echo one >"$staged/small"; artifacts_write "$staged/small" published/family; artifacts_read published/family
echo two >"$staged/small"; artifacts_write "$staged/small" published/family; artifacts_read published/family
mkdir "$artifacts_root/dir"; status=0; artifacts_read dir || status=$?; echo "no file: $status"
head -c 70000 /dev/zero >"$staged/small"; artifacts_write "$staged/small" large
status=0; artifacts_read large || status=$?; echo "large: $status"
head -c 65536 /dev/zero >"$staged/small"; artifacts_write "$staged/small" large; artifacts_read large | wc -c
`)
	require.Zero(t, code, stderr)
	require.Equal(t, "absent: 1\none\ntwo\nno file: 2\nlarge: 2\n65536\n", stdout)
	require.Contains(t, stderr, "cat: "+p.root+"/dir: ")
	require.Contains(t, stderr, p.root+"/large has more than 65536 bytes")
	left, err := filepath.Glob(filepath.Join(p.root, ".new-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// A program that doesn't answer is ended with all that it started, and a signal is heeded while one runs.
func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	hanging := filepath.Join(t.TempDir(), "gsutil")
	require.NoError(t, os.WriteFile(hanging, []byte("#!/bin/sh\nsleep 600 &\nwait\n"), 0o755))
	bucket := "artifacts_gsutil=" + hanging + " artifacts_read_limit=1 artifacts_limit=1 artifacts_kind=gs artifacts_root=gs://bucket\n"

	_, stdout, stderr := p.bash(t, bucket+`status=0; artifacts_read x || status=$?; echo "$status"
status=0; artifacts_write "$staged/COMMIT" x || status=$?; echo "$status"
status=0; artifacts_open gs://bucket || status=$?; echo "$status"`)
	require.Equal(t, "2\n124\n1\n", stdout)
	require.Contains(t, stderr, "reading gs://bucket/x failed (124)")
	require.Contains(t, stderr, "gs://bucket can't be reached without gsutil, which does not run here")

	code, stdout, _ := p.bash(t, bucket+`artifacts_limit=600
trap 'echo heard; exit 130' TERM
(sleep 0.2; kill -TERM $$) &
artifacts_write "$staged/COMMIT" x`)
	require.Equal(t, 130, code)
	require.Equal(t, "heard\n", stdout)
}
