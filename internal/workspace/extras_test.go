package workspace

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

// remoteFiles maps "bucket/key" to content.
type remoteFiles map[string]string

var errNoFile = errors.New("unexpected status code 404")

func (f remoteFiles) OpenFile(_ context.Context, bucket, key string) (io.ReadCloser, error) {
	content, ok := f[bucket+"/"+key]
	if !ok {
		return nil, errNoFile
	}
	return io.NopCloser(strings.NewReader(content)), nil
}

func text(content string) api.File { return api.File{Content: []byte(content)} }

func TestPrepareWritesFilesThenScripts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Files = remoteFiles{"batch-changes/a/b": "remote"}
	modified := time.Date(2022, 11, 24, 1, 2, 3, 0, time.UTC)
	w := b.prepare(t, api.Job{
		ID: 42,
		Files: map[string]api.File{
			"z.txt":              text("last"),
			"a/b/../c.txt":       {Content: []byte("dated"), ModifiedAt: modified},
			"/rooted.txt":        text("rooted"),
			"workspace-files/r":  {Content: []byte("ignored"), Bucket: "batch-changes", Key: "a/b", ModifiedAt: modified},
			"only-bucket":        {Content: []byte("content"), Bucket: "batch-changes"},
			"empty":              {},
			"bin/\xff":           text("odd name"),
			".sourcegraph-x/one": text("one"),
		},
		DockerSteps: []api.DockerStep{{Commands: []string{"echo a", "echo b"}}, {Key: "two"}},
	})
	for path, content := range map[string]string{
		"z.txt": "last", "a/c.txt": "dated", "rooted.txt": "rooted", "workspace-files/r": "remote", "only-bucket": "content", "empty": "",
		"bin/\xff": "odd name",
	} {
		require.Equal(t, content, readFile(t, w, path))
		info, err := os.Stat(filepath.Join(w.Dir, path))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o755), info.Mode())
		if path == "a/c.txt" || path == "workspace-files/r" {
			require.True(t, info.ModTime().Equal(modified))
		} else {
			require.WithinDuration(t, time.Now(), info.ModTime(), time.Hour)
		}
	}
	require.Equal(t, []string{"42.0_@.sh", "42.1_@.sh"}, w.Scripts)
	require.Equal(t, preamble+"\necho a\necho b\n", readFile(t, w, ".sourcegraph-executor/42.0_@.sh"))
	require.Equal(t, preamble+"\n\n", readFile(t, w, ".sourcegraph-executor/42.1_@.sh"))

	require.Equal(t, []string{"setup.fs.extras"}, b.log.Keys())
	entry := b.log.Entry(t, "setup.fs.extras")
	require.Nil(t, entry.Command)
	require.Zero(t, entry.ExitCode)
	line := regexp.MustCompile(`^Wrote (.+) in \d[^ ]*s$`)
	var written []string
	for out := range strings.Lines(entry.Out) {
		require.Regexp(t, line, strings.TrimSuffix(out, "\n"))
		written = append(written, strings.TrimPrefix(line.FindStringSubmatch(strings.TrimSuffix(out, "\n"))[1], w.Dir+"/"))
	}
	require.Equal(t, []string{
		".sourcegraph-x/one", "rooted.txt", "a/c.txt", "bin/\xff", "empty", "only-bucket", "workspace-files/r", "z.txt",
		".sourcegraph-executor/42.0_@.sh", ".sourcegraph-executor/42.1_@.sh",
	}, written, "in the order of the job's paths: /rooted.txt sorts before a")
}

func TestPrepareWritesNoEntryWhenThereIsNothingToWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.prepare(t, api.Job{ID: 42, CliSteps: []api.CliStep{{Commands: []string{"version"}}}})
	require.Empty(t, b.log.Entries())
	require.Empty(t, w.Scripts)
	require.DirExists(t, filepath.Join(w.Dir, ".sourcegraph-executor"))
}

func TestPrepareRefusesBadFiles(t *testing.T) {
	t.Parallel()
	one := func(path string) map[string]api.File { return map[string]api.File{path: text("x")} }
	for name, test := range map[string]struct {
		files map[string]api.File
		text  string
	}{
		"parent":              {one("../x"), outside},
		"deep parent":         {one("a/../../x"), outside},
		"rooted parent":       {one("/../x"), outside},
		"sibling with prefix": {one("../workspace-420/x"), outside},
		"NUL":                 {one("a\x00b"), outside},
		"the workspace":       {one("."), "is a directory"},
		"empty":               {one(""), "is a directory"},
		"directory":           {one(".sourcegraph-executor"), "is a directory"},
		"file as directory":   {map[string]api.File{"a": text("1"), "a/b": text("2")}, `"a" is a file, not a directory`},
		"same file":           {map[string]api.File{"a": text("1"), "./a": text("2")}, "are the same"},
		"too large":           {map[string]api.File{"r": {Bucket: "b", Key: "large"}}, "it is larger than 4 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.options.Files, b.options.MaxFileSize = remoteFiles{"b/large": "12345"}, 4
			_, err := Prepare(t.Context(), api.Job{ID: 42, Files: test.files}, b.options)
			require.ErrorContains(t, err, test.text)
			require.Equal(t, fault.User, fault.ClassOf(err))
			entry := b.log.Entry(t, "setup.fs.extras")
			require.True(t, entry.Closed)
			require.Equal(t, 1, entry.ExitCode)
			require.Contains(t, entry.Out, test.text)
			b.requireNothingLeft(t)
		})
	}
}

func TestPrepareReportsFilesThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	job := api.Job{ID: 42, Files: map[string]api.File{"in/put": {Bucket: "b", Key: "k"}}}
	b := setup(t)
	b.options.Files = remoteFiles{}
	_, err := Prepare(t.Context(), job, b.options)
	require.ErrorIs(t, err, errNoFile)
	require.EqualError(t, err, `writing file "in/put": fetching it from the frontend (bucket "b", key "k"): unexpected status code 404`)
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
	b.requireNothingLeft(t)

	b = setup(t)
	_, err = Prepare(t.Context(), job, b.options)
	require.ErrorContains(t, err, "no source of remote files")
	b.requireNothingLeft(t)
}

func TestPrepareTakesFilesOfExactlyTheLimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Files, b.options.MaxFileSize = remoteFiles{"b/k": "1234"}, 4
	w := b.prepare(t, api.Job{Files: map[string]api.File{"r": {Bucket: "b", Key: "k"}}})
	require.Equal(t, "1234", readFile(t, w, "r"))
}
