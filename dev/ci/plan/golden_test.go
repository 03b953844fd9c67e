package plan

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files and the table in docs/ci.md")

// TestGolden holds the whole pipeline of every run type, and of the circumstances that change it.
func TestGolden(t *testing.T) {
	t.Parallel()
	with := func(kind RunType, change func(*Build)) Build {
		b := examples[kind]
		change(&b)
		return b
	}
	mirror := func(b *Build) { b.Changes.Mirror = true }
	image := func(b *Build) { b.Changes.VMImage = true }
	flagged := func(b *Build) { b.Message = "Rebuild all\n\n" + RebuildFlag }
	builds := map[string]Build{
		"default_mirror":          with(Default, mirror),
		"fork_of_main":            with(Main, func(b *Build) { b.Fork = true }),
		"main_mirror":             with(Main, mirror),
		"main_image":              with(Main, image),
		"main_flag":               with(Main, flagged),
		"main_everything":         with(Main, func(b *Build) { b.Changes = Everything() }),
		"main_dry_run_mirror":     with(MainDryRun, mirror),
		"main_dry_run_flag":       with(MainDryRun, flagged),
		"executor_patch_image":    with(ExecutorPatch, image),
		"tagged_release_internal": with(Tagged, func(b *Build) { b.Internal = true }),
	}
	for _, kind := range RunTypes {
		builds[strings.ReplaceAll(kind.String(), " ", "_")] = examples[kind]
	}
	for name, build := range builds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pipeline, err := Make(example(build))
			require.NoError(t, err)
			text, err := pipeline.YAML("Run type: " + build.RunType().String())
			require.NoError(t, err)
			golden(t, filepath.Join("testdata", name+".yaml"), text)
		})
	}
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	if !*update {
		require.Len(t, files, len(builds), "a golden file that no build makes")
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "%s; `go test ./dev/ci/plan -update` rewrites it", file)
}
