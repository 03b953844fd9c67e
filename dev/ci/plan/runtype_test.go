package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunType(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		build Build
		want  RunType
	}{
		"a branch":                 {Build{Branch: "fix-logs"}, Default},
		"main":                     {Build{Branch: "main"}, Main},
		"like main":                {Build{Branch: "main-2"}, Default},
		"below main":               {Build{Branch: "main/x"}, Default},
		"dry run":                  {Build{Branch: "main-dry-run/try"}, MainDryRun},
		"dry run without a slash":  {Build{Branch: "main-dry-run"}, Default},
		"release branch":           {Build{Branch: "5.3"}, ReleaseBranch},
		"longer numbers":           {Build{Branch: "10.12"}, ReleaseBranch},
		"three numbers":            {Build{Branch: "5.3.1"}, Default},
		"release branch and more":  {Build{Branch: "5.3-fix"}, Default},
		"two lines":                {Build{Branch: "5.3\nx"}, Default},
		"patch":                    {Build{Branch: "executor-patch-notest/cve"}, ExecutorPatch},
		"tag":                      {Build{Branch: "v5.3.0", Tag: "v5.3.0"}, Tagged},
		"tag without a branch":     {Build{Tag: "v5.3.0"}, Tagged},
		"tag on main":              {Build{Branch: "main", Tag: "v5.3.0"}, Tagged},
		"branch like a tag":        {Build{Branch: "v5.3.0"}, Default},
		"another tag":              {Build{Branch: "nightly", Tag: "nightly"}, Default},
		"a tag that is named main": {Build{Branch: "main", Tag: "main"}, Default},
		"a tag like a branch":      {Build{Branch: "5.3", Tag: "5.3"}, Default},
		"internal":                 {Build{Branch: "5.3", Internal: true}, InternalRelease},
		"internal from main":       {Build{Branch: "main", Internal: true}, InternalRelease},
		"internal with a tag":      {Build{Branch: "v5.3.0", Tag: "v5.3.0", Internal: true}, InternalRelease},
		"a fork's main":            {Build{Branch: "main", Fork: true}, Default},
		"a fork's patch":           {Build{Branch: "executor-patch-notest/x", Fork: true}, Default},
		"a fork, internal":         {Build{Branch: "x", Internal: true, Fork: true}, Default},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, test.build.RunType())
		})
	}
}

func TestRunTypesHaveNames(t *testing.T) {
	t.Parallel()
	require.Len(t, runTypeNames, len(RunTypes))
	for _, kind := range RunTypes {
		require.NotContains(t, kind.String(), "run type")
	}
	require.Equal(t, "run type 99", RunType(99).String())
}

func TestChangesOf(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]Changes{
		"vm-image/executor.pkr.hcl":              {VMImage: true},
		"cmd/executor/vm-image/BUILD.bazel":      {VMImage: true},
		"docker-images/executor-vm/BUILD.bazel":  {VMImage: true},
		"docker-mirror/install.sh":               {Mirror: true},
		"cmd/executor/docker-mirror/BUILD.bazel": {Mirror: true},
		"cmd/executor/main.go":                   {},
		"docker-images/other/BUILD.bazel":        {},
		"docs/vm-image/a.md":                     {},
		"docker-mirror-notes.md":                 {},
	} {
		require.Equal(t, want, ChangesOf([]string{"README.md", file, "go.mod"}), file)
	}
	require.Equal(t, Changes{}, ChangesOf(nil))
	require.Equal(t, Everything(), ChangesOf([]string{"vm-image/a", "docker-mirror/a"}))
}
