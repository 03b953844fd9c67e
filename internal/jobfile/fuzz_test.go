package jobfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/jobfile"
)

// FuzzParse: any input gives either a spec that survives a round trip, or an *Error whose problems lie inside the input.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"good", "bad"} {
		for _, file := range fixtures(f, dir) {
			data := read(f, file)
			if len(data) < 4096 {
				f.Add(data, false)
				f.Add(data, true)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, asJSON bool) {
		opts := jobfile.Options{Env: environment}
		if asJSON {
			opts.Format = jobfile.JSON
		}
		spec, err := jobfile.Parse("job", data, opts)
		if err != nil {
			var problems *jobfile.Error
			require.True(t, errors.As(err, &problems))
			require.NotEmpty(t, problems.Problems)
			lines := 1 + strings.Count(strings.Map(lineBreak, string(data)), "\n")
			for _, p := range problems.Problems {
				require.Positive(t, p.Line)
				require.LessOrEqual(t, p.Line, lines)
				require.Positive(t, p.Column)
				require.NotEmpty(t, p.Message)
			}
			return
		}
		body, err := jobfile.Marshal(spec)
		require.NoError(t, err)
		again, err := jobfile.Parse("job.json", body, jobfile.Options{})
		require.NoError(t, err, string(body))
		require.Equal(t, spec, again)
	})
}

// lineBreak makes one of everything that YAML counts as a line break.
func lineBreak(r rune) rune {
	if strings.ContainsRune("\r\u0085\u2028\u2029", r) {
		return '\n'
	}
	return r
}
