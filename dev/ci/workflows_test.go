package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// workflow is as much of a GitHub workflow as our rules are about; actionlint knows the rest.
type workflow struct {
	Permissions map[string]string
	Concurrency map[string]any
	Jobs        map[string]struct {
		Uses        string
		Permissions map[string]string
		Timeout     int `yaml:"timeout-minutes"`
		Steps       []step
	}
}

type step struct {
	Uses string
	Run  string
	With map[string]any
}

func workflows(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	require.NoError(t, err)
	texts := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		texts[filepath.Base(file)] = string(text)
	}
	for _, name := range []string{"ci.yml", "images.yml", "release.yml"} {
		require.Contains(t, texts, name)
	}
	return texts
}

var (
	pinned  = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
	usesPin = regexp.MustCompile(`(?m)^ *-? *uses: ([^#\n]*?)( # (v[0-9.]+))?$`)
)

// Workflows run what others wrote only at a named commit, ask for no more than they need, and end.
func TestWorkflowsKeepTheRules(t *testing.T) {
	t.Parallel()
	for name, text := range workflows(t) {
		require.NotContains(t, text, "pull_request_target", name)
		var w workflow
		require.NoError(t, yaml.Unmarshal([]byte(text), &w), name)
		require.NotNil(t, w.Permissions, "%s says that jobs may do nothing by themselves", name)
		require.Empty(t, w.Permissions, name)
		require.NotEmpty(t, w.Concurrency["group"], name)
		for id, job := range w.Jobs {
			for scope, access := range job.Permissions {
				allowed := access == "read" || name == "release.yml" && (id == "publish" && scope == "id-token" || id == "github-release" && scope == "contents")
				require.True(t, allowed, "%s: job %s may %s %s", name, id, access, scope)
			}
			require.NotEmpty(t, job.Permissions, "%s: job %s", name, id)
			if job.Uses == "" {
				require.Positive(t, job.Timeout, "%s: job %s has no timeout", name, id)
			}
			for _, s := range job.Steps {
				require.NotContains(t, s.Run, "${{", "%s: job %s: what others chose gets into a script by a variable only", name, id)
				if strings.HasPrefix(s.Uses, "actions/checkout@") {
					require.Equal(t, false, s.With["persist-credentials"], "%s: job %s", name, id)
				}
			}
		}
	}
}

// The same action is the same commit everywhere, and its version stands beside it.
func TestActionsArePinned(t *testing.T) {
	t.Parallel()
	versions := make(map[string]string)
	for name, text := range workflows(t) {
		for _, found := range usesPin.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(found[1], "./.github/workflows/") {
				continue
			}
			require.Regexp(t, pinned, found[1], name)
			require.NotEmpty(t, found[3], "%s: %s has no version beside it", name, found[1])
			action, _, _ := strings.Cut(found[1], "@")
			pin := found[1] + " " + found[3]
			if versions[action] == "" {
				versions[action] = pin
			}
			require.Equal(t, versions[action], pin, name)
		}
	}
	require.GreaterOrEqual(t, len(versions), 4)
}

// What the workflows do is what people do: scripts of the repository.
func TestWorkflowsRunOurScripts(t *testing.T) {
	t.Parallel()
	texts := workflows(t)
	for name, commands := range map[string][]string{
		"ci.yml":      {"run: ./dev/test\n", "run: dev/bazel build --config=ci //...\n", "run: dev/bazel test --config=ci //...\n"},
		"images.yml":  {`dev/bazel run --config=ci "$package:image_tarball"`, "dev/bazel test --config=ci --config=engine", "dev/ci/integration/executors/run.sh"},
		"release.yml": {"run: dev/bazel run --config=release //cmd/executor:binary.push\n"},
	} {
		for _, command := range commands {
			require.Contains(t, texts[name], command, name)
		}
	}
}
