package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/ci/buildkite"
)

const hash = "0123456789abcdef0123456789abcdef01234567"

// example is a build with all that b leaves out.
func example(b Build) Build {
	b.Commit, b.Number = hash, "42"
	// It is the fifth already where the build runs.
	b.Time = time.Date(2026, time.March, 5, 1, 0, 0, 0, time.FixedZone("", 5*60*60))
	return b
}

// examples has a build of each run type.
var examples = map[RunType]Build{
	Default:         {Branch: "fix-logs"},
	Main:            {Branch: "main"},
	MainDryRun:      {Branch: "main-dry-run/try"},
	ReleaseBranch:   {Branch: "5.3"},
	Tagged:          {Branch: "v5.3.1", Tag: "v5.3.1"},
	InternalRelease: {Branch: "5.3", Internal: true, Version: "5.3.2"},
	ExecutorPatch:   {Branch: "executor-patch-notest/cve"},
}

func steps(t *testing.T, b Build) map[string]buildkite.Step {
	t.Helper()
	pipeline, err := Make(example(b))
	require.NoError(t, err)
	all := make(map[string]buildkite.Step)
	for _, step := range pipeline.Steps {
		all[step.Key] = step
	}
	return all
}

// TestContract holds the table of spec section B4, written down once more by hand.
func TestContract(t *testing.T) {
	t.Parallel()
	const always, withMirror, never = "always", "mirror", "never"
	table := map[string][7]string{
		//                        default     main        dry run     branch  tagged  internal patch
		"build-executor-image":    {never, always, always, always, always, always, always},
		"publish-executor-image":  {never, always, never, never, always, always, always},
		"build-docker-mirror":     {withMirror, withMirror, withMirror, always, always, always, always},
		"publish-docker-mirror":   {never, withMirror, never, never, always, always, always},
		"publish-executor-binary": {never, always, never, never, always, always, always},
		"executors-e2e":           {always, always, always, always, always, always, never},
		"push-candidates":         {always, always, always, always, always, always, always},
		"scan-executor-vm":        {never, never, never, never, never, never, always},
		"test":                    {always, always, always, always, always, always, never},
	}
	require.Len(t, definitions, len(table))
	for i, kind := range RunTypes {
		build := examples[kind]
		require.Equal(t, kind, build.RunType())
		plain := steps(t, build)
		build.Changes.Mirror = true
		changed := steps(t, build)
		for key, row := range table {
			require.Equal(t, row[i] == always, plain[key].Key != "", "%s of %s", key, kind)
			require.Equal(t, row[i] != never, changed[key].Key != "", "%s of %s with a change of the mirror", key, kind)
		}
	}
}

// everyBuild calls f with every run type in every circumstance.
func everyBuild(f func(Build)) {
	for _, kind := range RunTypes {
		for _, fork := range []bool{false, true} {
			for _, message := range []string{"A change", "A change\n\n" + RebuildFlag} {
				for _, changes := range []Changes{{}, {VMImage: true}, {Mirror: true}, Everything()} {
					b := examples[kind]
					b.Fork, b.Message, b.Changes = fork, message, changes
					f(b)
				}
			}
		}
	}
}

// What is published was built and tested in the same run, and only where that was possible.
func TestPublishingWaits(t *testing.T) {
	t.Parallel()
	everyBuild(func(b Build) {
		all := steps(t, b)
		for key, step := range all {
			thing, publishes := strings.CutPrefix(key, "publish-")
			if !publishes {
				require.Empty(t, step.ConcurrencyGroup, key)
				continue
			}
			require.Equal(t, 1, step.Concurrency, key)
			want := []string{"test", "executors-e2e"}
			if b.RunType() == ExecutorPatch {
				want = []string{"scan-executor-vm"}
			}
			if thing != "executor-binary" {
				want = append(want, "build-"+thing)
			}
			require.ElementsMatch(t, want, step.DependsOn, key)
		}
	})
}

// A fork's build touches nothing that needs credentials.
func TestForksOnlyTest(t *testing.T) {
	t.Parallel()
	everyBuild(func(b Build) {
		if !b.Fork {
			return
		}
		all := steps(t, b)
		require.Len(t, all, 1)
		require.Empty(t, all["test"].Env)
	})
}

// The machine image's steps ask whether anything changed, unless the answer is known; only then may they end with "unchanged".
func TestMachineImageIsGuarded(t *testing.T) {
	t.Parallel()
	everyBuild(func(b Build) {
		known := slices.Contains([]RunType{ReleaseBranch, Tagged, InternalRelease}, b.RunType()) ||
			b.Changes.VMImage || strings.Contains(b.Message, "[skip-hash-compare]")
		for key, step := range steps(t, b) {
			guarded := slices.Contains(step.Commands, askWhetherChanged)
			machine := strings.HasSuffix(key, "-executor-image")
			require.Equal(t, machine && !known, guarded, key)
			if guarded {
				require.Equal(t, askWhetherChanged, step.Commands[0])
				require.Equal(t, []buildkite.SoftFail{{ExitStatus: 222}}, step.SoftFail)
			} else {
				require.Empty(t, step.SoftFail, key)
			}
		}
	})
}

func TestEveryStepIsBounded(t *testing.T) {
	t.Parallel()
	everyBuild(func(b Build) {
		for key, step := range steps(t, b) {
			require.Equal(t, 60, step.TimeoutInMinutes, key)
			require.Equal(t, []buildkite.AutomaticRetry{{ExitStatus: -1, Limit: 1}}, step.Retry.Automatic, key)
		}
	})
}

// The scripts of a release know that it is one, and whose.
func TestReleaseVariables(t *testing.T) {
	t.Parallel()
	everyBuild(func(b Build) {
		released, internal := "false", "false"
		switch b.RunType() {
		case Tagged:
			released = "true"
		case InternalRelease:
			released, internal = "true", "true"
		}
		all := steps(t, b)
		for _, key := range []string{"build-executor-image", "publish-executor-image", "build-docker-mirror", "publish-docker-mirror", "publish-executor-binary"} {
			step, ok := all[key]
			if !ok {
				continue
			}
			require.Equal(t, released, step.Env["EXECUTOR_IS_TAGGED_RELEASE"], key)
			require.NotEmpty(t, step.Env["VERSION"], key)
			require.Equal(t, key != "publish-executor-binary", step.Env["IMAGE_FAMILY"] != "", key)
			require.Equal(t, strings.HasSuffix(key, "docker-mirror"), strings.Contains(step.Env["IMAGE_FAMILY"], "docker-mirror"), key)
			if key == "publish-docker-mirror" {
				require.Equal(t, internal, step.Env["RELEASE_INTERNAL"])
			} else {
				require.NotContains(t, step.Env, "RELEASE_INTERNAL", key)
			}
		}
	})
}

// The images under test are the ones that were pushed.
func TestCandidates(t *testing.T) {
	t.Parallel()
	all := steps(t, examples[Main])
	require.Equal(t, hash+"_42_candidate", all["executors-e2e"].Env["CANDIDATE_VERSION"])
	require.Len(t, all["push-candidates"].Commands, 6)
	for _, command := range all["push-candidates"].Commands {
		require.True(t, strings.HasSuffix(command, ":candidate_push -- --tag "+hash+"_42_candidate"), command)
	}
	patch := steps(t, examples[ExecutorPatch])
	require.Len(t, patch["push-candidates"].Commands, 1)
	require.Contains(t, patch["push-candidates"].Commands[0], "//docker-images/executor-vm:candidate_push")
	require.Contains(t, patch["scan-executor-vm"].Commands[0], "/executor-vm:"+hash+"_42_candidate")
}
