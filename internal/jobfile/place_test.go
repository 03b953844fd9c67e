package jobfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/jobfile"
)

// TestPlacesInLargeFiles: what is never closed is told where it begins, however much follows, and in bearable time.
func TestPlacesInLargeFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text         string
		line, column int
	}{
		"quote":    {"queue: a\ntimeout: \"1m\n" + strings.Repeat("x: y\n", 20_000), 2, 10},
		"bracket":  {"queue: a\nsteps: [\n" + strings.Repeat("  x,\n", 20_000), 2, 1},
		"last tab": {"queue: a\n" + strings.Repeat("# text\n", 20_000) + "\tx: y", 20_002, 1},
	} {
		_, err := jobfile.Parse("job.yaml", []byte(test.text), jobfile.Options{})
		var problems *jobfile.Error
		require.True(t, errors.As(err, &problems), name)
		require.True(t, problems.Syntax, name)
		require.Equal(t, []int{test.line, test.column}, []int{problems.Problems[0].Line, problems.Problems[0].Column}, "%s: %s", name, err)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		opts jobfile.Options
		says string
	}{
		"YAML": {strings.Repeat("#", jobfile.MaxYAMLBytes+1), jobfile.Options{}, "the YAML job file has 1048577 bytes, at most 1048576 are allowed"},
		"JSON": {strings.Repeat(" ", 101), jobfile.Options{Format: jobfile.JSON, MaxBytes: 100}, "the job file has 101 bytes, at most 100 are allowed"},
	} {
		_, err := jobfile.Parse("", []byte(test.text), test.opts)
		var problems *jobfile.Error
		require.True(t, errors.As(err, &problems), name)
		require.True(t, problems.TooLarge, name)
		require.Contains(t, err.Error(), test.says)
	}
	large := `{"files": {"a": "` + strings.Repeat("x", 2*jobfile.MaxYAMLBytes) + `"}, "steps": [{"image": "a:1", "run": "x"}]}`
	spec, err := jobfile.Parse("", []byte(large), jobfile.Options{})
	require.NoError(t, err, "JSON may be larger than YAML, whatever the file's name")
	require.Len(t, spec.Files["a"].Content, 2*jobfile.MaxYAMLBytes)
}
