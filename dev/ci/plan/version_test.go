package plan

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/version"
)

func TestVersionAndFamilies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		build                      Build
		version, executors, mirror string
	}{
		"main": {
			Build{Branch: "main"}, "00042_2026-03-04_0123456789ab",
			"sourcegraph-executors-nightly", "sourcegraph-executors-docker-mirror-nightly",
		},
		"patch": {
			Build{Branch: "executor-patch-notest/cve 1"}, "executor-patch-notest-cve-1_00042_2026-03-04_0123456789ab",
			"sourcegraph-executors-nightly", "sourcegraph-executors-docker-mirror-nightly",
		},
		"release branch": {
			Build{Branch: "5.3"}, "5.3_00042_2026-03-04_0123456789ab",
			"sourcegraph-executors-nightly", "sourcegraph-executors-docker-mirror-nightly",
		},
		"tagged": {
			Build{Tag: "v5.3.1"}, "5.3.1",
			"sourcegraph-executors-5-3", "sourcegraph-executors-docker-mirror-5-3",
		},
		"candidate of a release": {
			Build{Tag: "v10.0.0-rc.2"}, "10.0.0-rc.2",
			"sourcegraph-executors-10-0", "sourcegraph-executors-docker-mirror-10-0",
		},
		"internal": {
			Build{Branch: "5.3", Internal: true, Version: "5.3.2"}, "5.3.2",
			"sourcegraph-executors-internal-5-3", "sourcegraph-executors-internal-docker-mirror-5-3",
		},
		"internal with a v": {
			Build{Branch: "5.3", Internal: true, Version: "v5.3.2"}, "5.3.2",
			"sourcegraph-executors-internal-5-3", "sourcegraph-executors-internal-docker-mirror-5-3",
		},
		"internal by its tag": {
			Build{Tag: "v5.4.0", Internal: true}, "5.4.0",
			"sourcegraph-executors-internal-5-4", "sourcegraph-executors-internal-docker-mirror-5-4",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := newRun(example(test.build))
			require.NoError(t, err)
			require.Equal(t, test.version, r.version)
			require.Equal(t, test.executors, family(r.kind, "", r.series))
			require.Equal(t, test.mirror, family(r.kind, mirrorThings, r.series))
			requireReadable(t, r.version)
		})
	}
}

// requireReadable: the frontend must be able to read what the executor is built as, and a registry to keep it as a tag.
func requireReadable(t *testing.T, text string) {
	t.Helper()
	_, err := version.Compatibility(text, text)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$`, text)
}

// Whatever a branch is called, the version can be read.
func TestVersionOfStrangeBranches(t *testing.T) {
	t.Parallel()
	for branch, want := range map[string]string{
		"a/b":                     "a-b_",
		"wip-5.3":                 "wip-5-3_",
		"$HOME":                   "HOME_",
		"..":                      "",
		"-":                       "",
		"ünter":                   "nter_",
		"main ":                   "",
		"a\nb: c":                 "a-b-c_",
		"_x_":                     "x_",
		strings.Repeat("ab", 200): strings.Repeat("ab", 32) + "_",
	} {
		r, err := newRun(example(Build{Branch: branch}))
		require.NoError(t, err, branch)
		require.Equal(t, want+"00042_2026-03-04_0123456789ab", r.version, branch)
		requireReadable(t, r.version)
	}
}

func TestMakeNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		build Build
		want  []string
	}{
		"no number":         {Build{Tag: "vnext"}, []string{"tag", `"vnext"`, "three numbers"}},
		"two numbers":       {Build{Tag: "v5.3"}, []string{"tag", `"v5.3"`}},
		"only v":            {Build{Tag: "v"}, []string{"tag", `"v"`}},
		"leading zero":      {Build{Tag: "v5.03.0"}, []string{"tag", `"v5.03.0"`}},
		"huge number":       {Build{Tag: "v99999999999999999999.0.0"}, []string{"tag", `"v99999999999999999999.0.0"`}},
		"build metadata":    {Build{Tag: "v5.3.0+today"}, []string{"tag", `"v5.3.0+today"`, "leave it out"}},
		"internal":          {Build{Branch: "5.3", Internal: true, Version: "five"}, []string{"VERSION of the internal release", `"five"`}},
		"internal, of none": {Build{Branch: "5.3", Internal: true}, []string{"tag of the internal release", `""`}},
		"nothing to build":  {Build{Commit: hash, Number: "1"}, []string{"neither a branch nor a tag"}},
		"short commit":      {Build{Branch: "main", Commit: "0123abc", Number: "1"}, []string{`commit "0123abc" is not a full hash`}},
		"no build number":   {Build{Branch: "main", Commit: hash, Number: "x"}, []string{`build number "x" is not a number`}},
		"much at once":      {Build{Commit: "HEAD"}, []string{"neither a branch", `commit "HEAD"`, `build number ""`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build := test.build
			if build.Commit == "" {
				build = example(build)
			}
			pipeline, err := Make(build)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.Empty(t, pipeline.Steps)
		})
	}
}
