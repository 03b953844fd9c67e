package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const hash = "0123456789abcdef0123456789abcdef01234567"

// bench is the command with an environment and a git of its own.
type bench struct {
	env            map[string]string
	git            map[string]string
	asked          []string
	stdout, stderr strings.Builder
}

func (b *bench) run(t *testing.T, args ...string) error {
	t.Helper()
	p := program{
		env: func(name string) string { return b.env[name] },
		git: func(_ context.Context, args ...string) (string, error) {
			command := strings.Join(args, " ")
			b.asked = append(b.asked, command)
			if out, ok := b.git[command]; ok {
				return out, nil
			}
			return "", errors.New("git " + command + ": fatal: bad object")
		},
		now:    func() time.Time { return time.Date(2026, time.March, 4, 0, 0, 0, 0, time.UTC) },
		stdout: &b.stdout,
		stderr: &b.stderr,
	}
	return p.run(t.Context(), args)
}

func environment(more map[string]string) map[string]string {
	env := map[string]string{"BUILDKITE_BRANCH": "main", "BUILDKITE_COMMIT": hash, "BUILDKITE_BUILD_NUMBER": "42", "BUILDKITE_MESSAGE": "A change"}
	for name, value := range more {
		env[name] = value
	}
	return env
}

const (
	parentDiff = "diff --name-only --no-renames -z --end-of-options " + hash + "^1 " + hash + " --"
	forkedDiff = "diff --name-only --no-renames -z --end-of-options f00 " + hash + " --"
	mirrorStep = "key: build-docker-mirror"
)

func TestRun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env     map[string]string
		git     map[string]string
		args    []string
		has     []string
		without []string
		asked   []string
	}{
		"main, against its parent": {
			git:   map[string]string{parentDiff: "README.md\x00docker-mirror/install.sh\x00"},
			has:   []string{"# Run type: main. Printed by dev/ci.\n", mirrorStep, "VERSION: 00042_2026-03-04_0123456789ab"},
			asked: []string{parentDiff},
		},
		"main, mirror unchanged": {
			git:     map[string]string{parentDiff: "README.md\x00"},
			without: []string{mirrorStep},
			asked:   []string{parentDiff},
		},
		"a branch, against main": {
			env: map[string]string{"BUILDKITE_BRANCH": "fix"},
			git: map[string]string{
				"merge-base --end-of-options refs/remotes/origin/main " + hash: "f00\n",
				forkedDiff: "docker-mirror/a\x00",
			},
			has:   []string{"# Run type: default.", mirrorStep},
			asked: []string{"merge-base --end-of-options refs/remotes/origin/main " + hash, forkedDiff},
		},
		"a pull request, against its base": {
			env: map[string]string{"BUILDKITE_BRANCH": "fix", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "5.3"},
			git: map[string]string{
				"merge-base --end-of-options refs/remotes/origin/5.3 " + hash: "f00\n",
				forkedDiff: "",
			},
			without: []string{mirrorStep},
			asked:   []string{"merge-base --end-of-options refs/remotes/origin/5.3 " + hash, forkedDiff},
		},
		"against a given commit": {
			args:    []string{"--since", "f00"},
			git:     map[string]string{forkedDiff: "README.md"},
			without: []string{mirrorStep},
			asked:   []string{forkedDiff},
		},
		"files by hand": {
			args: []string{"docker-mirror/install.sh"},
			has:  []string{mirrorStep},
		},
		"nothing by hand": {
			args:    []string{"--unchanged"},
			without: []string{mirrorStep},
		},
		"the message's flag": {
			env:     map[string]string{"BUILDKITE_MESSAGE": "Again [skip-hash-compare]"},
			args:    []string{"--unchanged"},
			without: []string{"rebuild-guard"},
		},
		"the commit is HEAD": {
			env:   map[string]string{"BUILDKITE_COMMIT": "HEAD"},
			git:   map[string]string{"rev-parse --verify HEAD": hash + "\n"},
			args:  []string{"--unchanged"},
			has:   []string{"0123456789ab"},
			asked: []string{"rev-parse --verify HEAD"},
		},
		"flags win": {
			args: []string{"--branch=v5.3.1", "--tag=v5.3.1", "--number=7", "--message=x", "--commit=" + strings.Repeat("a", 40), "--unchanged"},
			has:  []string{"tagged release", "sourcegraph-executors-5-3", strings.Repeat("a", 40) + "_7_candidate"},
		},
		"an internal release": {
			env:  map[string]string{"RELEASE_INTERNAL": "true", "VERSION": "5.4.0"},
			args: []string{"--unchanged"},
			has:  []string{"internal release", "sourcegraph-executors-internal-docker-mirror-5-4", `RELEASE_INTERNAL: "true"`},
		},
		"a fork that is called main": {
			env: map[string]string{
				"BUILDKITE_REPO": "git@github.com:open-executor/executor.git", "BUILDKITE_PULL_REQUEST_REPO": "git://github.com/someone/executor.git",
			},
			args:    []string{"docker-mirror/a"},
			has:     []string{"# Run type: default."},
			without: []string{mirrorStep, "publish", "push"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bench{env: environment(test.env), git: test.git}
			require.NoError(t, b.run(t, test.args...))
			require.Empty(t, b.stderr.String())
			for _, text := range test.has {
				require.Contains(t, b.stdout.String(), text)
			}
			for _, text := range test.without {
				require.NotContains(t, b.stdout.String(), text)
			}
			require.Equal(t, test.asked, b.asked)
		})
	}
}

// When git doesn't know, as in a shallow clone, everything counts as changed, and the log says why.
func TestRunWithoutAnAnswerOfGit(t *testing.T) {
	t.Parallel()
	for _, branch := range []string{"main", "fix"} {
		b := bench{env: environment(map[string]string{"BUILDKITE_BRANCH": branch})}
		require.NoError(t, b.run(t))
		require.Contains(t, b.stdout.String(), mirrorStep)
		require.NotContains(t, b.stdout.String(), "rebuild-guard")
		require.Contains(t, b.stderr.String(), "everything counts as changed")
		require.Contains(t, b.stderr.String(), "fatal: bad object")
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"unknown flag":    {nil, []string{"--brunch=main"}, "flag provided but not defined: -brunch; --help lists the flags"},
		"contradiction":   {nil, []string{"--unchanged", "go.mod"}, "--unchanged and 1 changed files contradict each other"},
		"internal or not": {map[string]string{"RELEASE_INTERNAL": "perhaps"}, []string{"--unchanged"}, `RELEASE_INTERNAL is "perhaps"`},
		"bad version":     {map[string]string{"BUILDKITE_TAG": "v5.x"}, []string{"--unchanged"}, `tag: "v5.x" is not a version`},
		"no build at all": {map[string]string{"BUILDKITE_BRANCH": ""}, []string{"--unchanged"}, "neither a branch nor a tag is known"},
		"no commit":       {map[string]string{"BUILDKITE_COMMIT": ""}, []string{"--unchanged"}, `the build's commit is "", and git doesn't know it better: git rev-parse`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bench{env: environment(test.env)}
			require.ErrorContains(t, b.run(t, test.args...), test.want)
			require.Empty(t, b.stdout.String())
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	b := bench{env: environment(nil)}
	require.NoError(t, b.run(t, "--help"))
	require.Contains(t, b.stdout.String(), "usage: go run ./dev/ci")
	require.Contains(t, b.stdout.String(), "-since commit")
}
