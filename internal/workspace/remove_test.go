package workspace

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
)

func TestWorkspaceDirectory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.ParentDir = filepath.Join(b.parent, "made", "when missing")
	w := b.prepare(t, api.Job{ID: 42})
	require.Equal(t, b.options.ParentDir, filepath.Dir(w.Dir))
	require.True(t, strings.HasPrefix(filepath.Base(w.Dir), "workspace-42-"))
	info, err := os.Stat(w.Dir)
	require.NoError(t, err)
	require.Equal(t, fs.ModeDir|0o700, info.Mode())

	again := b.prepare(t, api.Job{ID: 42})
	require.NotEqual(t, w.Dir, again.Dir)
}

func TestWorkspaceGoesToTMPDIR(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("TMPDIR", "relative")
	w, err := Prepare(t.Context(), api.Job{ID: 42}, Options{Log: commandtest.NewLog()})
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(w.Dir))
	require.Equal(t, filepath.Join(dir, "relative"), filepath.Dir(w.Dir))
}

func TestWorkspaceParentThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := filepath.Join(b.parent, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	b.options.ParentDir = filepath.Join(file, "x")
	_, err := Prepare(t.Context(), api.Job{ID: 42}, b.options)
	require.ErrorContains(t, err, "TMPDIR")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := Prepare(t.Context(), api.Job{}, Options{})
	require.EqualError(t, err, "workspace: no log")
	_, err = Prepare(t.Context(), api.Job{RepositoryName: "r", Commit: "main"}, Options{Log: commandtest.NewLog()})
	require.EqualError(t, err, "workspace: no frontend to clone from")
}

func TestTrackCoversTheDirectorysLife(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		job  api.Job
		keep bool
	}{
		"removed": {api.Job{ID: 1, Files: map[string]api.File{"a": text("a")}}, false},
		"kept":    {api.Job{ID: 1}, true},
		"failed":  {api.Job{ID: 1, Files: map[string]api.File{"../a": text("a")}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var tracked string
			released := 0
			b.options.Keep = test.keep
			b.options.Track = func(path string) func() {
				tracked = path
				require.NoDirExists(t, path, "tracked before it is made: an executor may be killed in between")
				return func() {
					released++
					_, err := os.Stat(path)
					require.Equal(t, test.keep, err == nil)
				}
			}
			w, err := Prepare(t.Context(), test.job, b.options)
			require.NotEmpty(t, tracked)
			if name == "failed" {
				require.Error(t, err)
			} else {
				require.Equal(t, w.Dir, tracked)
				require.Zero(t, released)
				require.NoError(t, w.Remove(t.Context(), b.log))
			}
			require.Equal(t, 1, released)
		})
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	b := setup(t)
	outside := filepath.Join(b.parent, "outside")
	require.NoError(t, os.MkdirAll(filepath.Join(outside, "dir"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "witness"), nil, 0o644))
	w := b.prepare(t, api.Job{ID: 1, Files: map[string]api.File{"deep/er/file": text("a"), "closed/file": text("b")}})
	require.NoError(t, os.Symlink(outside, filepath.Join(w.Dir, "link")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "witness"), filepath.Join(w.Dir, "deep", "link")))
	require.NoError(t, os.Chmod(filepath.Join(w.Dir, "deep", "er"), 0o500))
	require.NoError(t, os.Chmod(filepath.Join(w.Dir, "deep"), 0o500))
	require.NoError(t, os.Chmod(filepath.Join(w.Dir, "closed"), 0))
	require.NoError(t, os.Chmod(w.Dir, 0))
	before := snapshot(t, outside, "")

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, w.Remove(canceled, b.log))
	require.NoDirExists(t, w.Dir)
	require.Equal(t, before, snapshot(t, outside, ""))
	require.Equal(t, commandtest.Entry{Key: "teardown.fs", Closed: true}, b.log.Entry(t, "teardown.fs"))
}

func TestRemoveKeepsWhenAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Keep = true
	w := b.prepare(t, api.Job{ID: 1, Files: map[string]api.File{"file": text("a")}})
	require.NoError(t, w.Remove(t.Context(), b.log))
	require.Equal(t, "a", readFile(t, w, "file"))
	require.Equal(t, commandtest.Entry{
		Key: "teardown.fs", Out: "Preserving workspace files as per config: " + w.Dir + "\n", Closed: true,
	}, b.log.Entry(t, "teardown.fs"))
}

func TestRemoveReportsWhatItCannotRemove(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Track = func(string) func() { return func() { t.Error("released although it is still there") } }
	w := b.prepare(t, api.Job{ID: 1})
	// A path through a file can't be removed by anybody, root included.
	w.Dir = filepath.Join(b.parent, "file", "x")
	require.NoError(t, os.WriteFile(filepath.Dir(w.Dir), nil, 0o600))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	err := w.Remove(canceled, b.log)
	require.ErrorContains(t, err, "removing the workspace: ")
	entry := b.log.Entry(t, "teardown.fs")
	require.Equal(t, 1, entry.ExitCode)
	require.Equal(t, err.Error()+"\n", entry.Out)
}

func TestTakeFile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.prepare(t, api.Job{ID: 1, Files: map[string]api.File{"skip.json": text("{}"), "dir/skip.json": text("12345")}})
	for _, path := range []string{"skip.json", "dir/../dir/./skip.json"} {
		content, err := w.TakeFile(path, 5)
		require.NoError(t, err)
		require.NotEmpty(t, content)
		_, err = w.TakeFile(path, 5)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	_, err := w.TakeFile("no/such/dir/skip.json", 5)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestTakeFileRefusesWhatIsNotAPlainFileInside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	secret := filepath.Join(b.parent, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("host"), 0o600))
	w := b.prepare(t, api.Job{ID: 1, Files: map[string]api.File{"large": text("123456"), "dir/file": text("a")}})
	in := func(path string) string { return filepath.Join(w.Dir, path) }
	require.NoError(t, os.Symlink(secret, in("link")))
	require.NoError(t, os.Symlink("dir/file", in("link-inside")))
	require.NoError(t, os.Symlink(b.parent, in("up")))
	require.NoError(t, os.Symlink("dir", in("dir-inside")))
	require.NoError(t, syscall.Mkfifo(in("pipe"), 0o600))
	for _, path := range []string{
		"link", "link-inside", "up/secret", "dir-inside/file", "pipe", "dir", ".", "", "large", "../secret", "dir/../../secret", "/../secret", "a\x00",
	} {
		_, err := w.TakeFile(path, 5)
		require.Error(t, err, path)
		require.Equal(t, fault.User, fault.ClassOf(err), "%q: %v", path, err)
		require.NotErrorIs(t, err, fs.ErrNotExist, path)
	}
	for _, path := range []string{"link", "link-inside", "pipe", "dir/file", "large"} {
		_, err := os.Lstat(in(path))
		require.NoError(t, err)
	}
	require.FileExists(t, secret)
}
