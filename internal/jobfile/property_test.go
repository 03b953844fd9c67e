package jobfile_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/jobfile"
)

// text generates what a value may hold: any characters but NUL.
func text() *rapid.Generator[string] {
	return rapid.Map(rapid.String(), func(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "") })
}

func specs() *rapid.Generator[jobs.Spec] {
	return rapid.Custom(func(t *rapid.T) jobs.Spec {
		spec := jobs.Spec{
			Queue:   rapid.StringMatching(`[a-z][a-z0-9-]{0,20}`).Draw(t, "queue"),
			Timeout: jobs.Duration(rapid.Int64Range(0, 3600).Draw(t, "timeout") * int64(time.Second)),
			Retries: rapid.IntRange(0, 10).Draw(t, "retries"),
		}
		if rapid.Bool().Draw(t, "clones") {
			spec.Repository = &jobs.Repository{
				Name:      rapid.StringMatching(`[a-z0-9.]{3,6}(/[a-z0-9_-]{1,6}){0,2}`).Filter(noDots).Draw(t, "name"),
				Commit:    rapid.StringMatching(`[a-z0-9][a-z0-9/_-]{0,20}`).Draw(t, "commit"),
				Directory: rapid.SampledFrom([]string{"", "repository", "a/b"}).Draw(t, "directory"),
				Shallow:   rapid.Bool().Draw(t, "shallow"),
				Tags:      rapid.Bool().Draw(t, "tags"),
			}
			if rapid.Bool().Draw(t, "sparse") {
				spec.Repository.Sparse = []string{"docs/*", "!x"}
			}
		}
		if files := rapid.MapOfN(rapid.StringMatching(`x[a-z0-9_. -]{1,8}`), rapid.SliceOfN(rapid.Byte(), 0, 40), 0, 4).Draw(t, "files"); len(files) > 0 {
			spec.Files = make(map[string]jobs.File)
			for name, content := range files {
				spec.Files[name] = jobs.File{}
				if len(content) > 0 {
					spec.Files[name] = jobs.File{Content: content}
				}
			}
		}
		if secrets := rapid.MapOfN(rapid.StringMatching(`S_[A-Z]{1,6}`), text().Filter(func(s string) bool { return s != "" }), 0, 3).Draw(t, "secrets"); len(secrets) > 0 {
			spec.Secrets = make(map[string]jobs.Secret)
			for name, value := range secrets {
				spec.Secrets[name] = jobs.Secret{Value: value}
			}
		}
		containers := rapid.IntRange(1, 4).Draw(t, "containers")
		for i := range containers {
			step := jobs.Step{Key: strconv.Itoa(i), Image: "debian:12", Run: append(rapid.SliceOfN(text(), 0, 3).Draw(t, "run"), "true")}
			if env := rapid.MapOfN(rapid.StringMatching(`E_[A-Z]{1,6}`), text(), 0, 3).Draw(t, "env"); len(env) > 0 {
				step.Env = env
			}
			spec.Steps = append(spec.Steps, step)
		}
		if rapid.Bool().Draw(t, "uploads") {
			spec.Steps = append(spec.Steps, jobs.Step{Key: "upload", Dir: "out", Src: []string{"version", rapid.SampledFrom([]string{"-x", "", "a b"}).Draw(t, "argument")}})
		}
		return spec
	})
}

func noDots(name string) bool {
	return !slices.ContainsFunc(strings.Split(name, "/"), func(s string) bool { return s == "." || s == ".." })
}

// TestMarshalParses: what Marshal writes, Parse reads back identically.
func TestMarshalParses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := specs().Draw(t, "spec")
		body, err := jobfile.Marshal(spec)
		require.NoError(t, err)
		again, err := jobfile.Parse("job.json", body, jobfile.Options{Format: jobfile.JSON})
		require.NoError(t, err, string(body))
		require.Equal(t, spec, again)
	})
}
