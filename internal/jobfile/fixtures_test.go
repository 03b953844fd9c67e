package jobfile_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/jobfile"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func environment(name string) (string, bool) {
	value, ok := map[string]string{"MY_TOKEN": "s3cret-value", "EMPTY": ""}[name]
	return value, ok
}

func fixtures(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*"))
	require.NoError(t, err)
	slices.Sort(files)
	return files
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return data
}

// golden compares got with a golden file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	require.Equal(t, string(read(t, file)), got)
}

// TestBadJobFiles holds the whole text of the error of every broken job file.
func TestBadJobFiles(t *testing.T) {
	t.Parallel()
	files := fixtures(t, "bad")
	require.GreaterOrEqual(t, len(files), 60)
	var all strings.Builder
	for _, file := range files {
		name := filepath.Base(file)
		_, err := jobfile.Parse(name, read(t, file), jobfile.Options{Env: environment})
		require.Error(t, err, name)
		require.Equal(t, fault.User, fault.ClassOf(err), name)
		var problems *jobfile.Error
		require.ErrorAs(t, err, &problems, name)
		for _, p := range problems.Problems {
			require.Positive(t, p.Line, name)
			require.Positive(t, p.Column, name)
			require.NotEmpty(t, p.Message, name)
		}
		require.NotContains(t, err.Error(), "hunter2", "a secret stands in the error of %s", name)
		all.WriteString(err.Error() + "\n")
	}
	golden(t, filepath.Join("testdata", "bad.golden"), all.String())
}

// TestGoodJobFiles holds what the good job files mean.
func TestGoodJobFiles(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, file := range fixtures(t, "good") {
		spec, err := jobfile.Parse(file, read(t, file), jobfile.Options{Env: environment})
		require.NoError(t, err)
		body, err := jobfile.Marshal(spec)
		require.NoError(t, err)
		all.WriteString(filepath.Base(file) + " " + string(body))
		again, err := jobfile.Parse("body.json", body, jobfile.Options{})
		require.NoError(t, err)
		require.Equal(t, spec, again, file)
	}
	golden(t, filepath.Join("testdata", "good.golden"), all.String())
}
