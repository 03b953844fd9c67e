package plan

import (
	"strconv"
	"time"

	"github.com/open-executor/executor/dev/ci/buildkite"
)

const (
	stepTimeout = time.Hour
	// registry is where candidates are pushed: image_repository in dev/oci_defs.bzl says the same.
	registry = "us.gcr.io/sourcegraph-dev"
	// exitUnchanged is the exit code of a step that had nothing to do.
	exitUnchanged = 222
	// askWhetherChanged ends a step with exitUnchanged when the machine images are as they were last published.
	askWhetherChanged = "dev/ci/rebuild-guard.sh cmd/executor/ci-should-rebuild.sh"
	endToEndURL       = "http://127.0.0.1:7080"
	mirrorThings      = "docker-mirror"
)

// knownVariables are read by the commands of the steps.
var knownVariables = []string{
	"CANDIDATE_VERSION", "EXECCTL_URL", "EXECUTOR_IS_TAGGED_RELEASE", "IMAGE_FAMILY", "REGISTRY", "RELEASE_INTERNAL", "VERSION",
}

// definition is a step that runs of some types have.
type definition struct {
	key, label string
	when       func(run) bool
	// needs are steps that must be there and come first; after are steps that come first where they are there.
	needs, after []string
	make         func(run) buildkite.Step
}

// definitions are all steps, each after those that it depends on.
var definitions = []definition{
	{
		key: "test", label: "Build and test",
		when: func(r run) bool { return !r.is(ExecutorPatch) },
		make: func(run) buildkite.Step { return commands("./dev/test") },
	},
	{
		key: "push-candidates", label: "Push candidate images",
		when: run.trusted,
		make: pushCandidates,
	},
	{
		key: "executors-e2e", label: "Executors E2E",
		when:  func(r run) bool { return r.trusted() && !r.is(ExecutorPatch) },
		needs: []string{"push-candidates"},
		make: func(r run) buildkite.Step {
			step := commands("dev/ci/integration/executors/run.sh")
			step.Env = map[string]string{"REGISTRY": registry, "CANDIDATE_VERSION": r.candidate, "EXECCTL_URL": endToEndURL}
			return step
		},
	},
	{
		key: "scan-executor-vm", label: "Scan executor-vm image",
		when:  func(r run) bool { return r.is(ExecutorPatch) },
		needs: []string{"push-candidates"},
		make: func(r run) buildkite.Step {
			return commands("trivy image --scanners vuln --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 " +
				registry + "/executor-vm:" + r.candidate)
		},
	},
	{
		key: "build-executor-image", label: "Build executor image",
		when: func(r run) bool {
			return r.is(Main, MainDryRun, ReleaseBranch, Tagged, InternalRelease, ExecutorPatch)
		},
		make: func(r run) buildkite.Step { return r.machineImage("//cmd/executor/vm-image:ami.build") },
	},
	{
		key: "build-docker-mirror", label: "Build docker mirror image",
		when: func(r run) bool {
			return r.is(ReleaseBranch, Tagged, InternalRelease, ExecutorPatch) || r.changes.Mirror && r.trusted()
		},
		make: func(r run) buildkite.Step { return r.mirrorImage("//cmd/executor/docker-mirror:ami.build") },
	},
	{
		key: "publish-executor-image", label: "Publish executor image",
		when:  func(r run) bool { return r.is(Main, Tagged, InternalRelease, ExecutorPatch) },
		needs: []string{"build-executor-image"}, after: gates,
		make: func(r run) buildkite.Step {
			return inTurn(r.machineImage("//cmd/executor/vm-image:ami.push"), family(r.kind, "", r.series))
		},
	},
	{
		key: "publish-docker-mirror", label: "Publish docker mirror image",
		when: func(r run) bool {
			return r.is(Tagged, InternalRelease, ExecutorPatch) || r.is(Main) && r.changes.Mirror
		},
		needs: []string{"build-docker-mirror"}, after: gates,
		make: func(r run) buildkite.Step {
			step := r.mirrorImage("//cmd/executor/docker-mirror:ami.push")
			step.Env["RELEASE_INTERNAL"] = strconv.FormatBool(r.is(InternalRelease))
			return inTurn(step, family(r.kind, mirrorThings, r.series))
		},
	},
	{
		key: "publish-executor-binary", label: "Publish executor binary",
		when:  func(r run) bool { return r.is(Main, Tagged, InternalRelease, ExecutorPatch) },
		after: gates,
		make: func(r run) buildkite.Step {
			step := commands(bazelRun("//cmd/executor:binary.push"))
			step.Env = r.releaseEnv()
			return inTurn(step, "binary")
		},
	},
}

// gates are what a run's publishing waits for besides the build of what is published.
var gates = []string{"test", "executors-e2e", "scan-executor-vm"}

// trusted runs may use credentials.
func (r run) trusted() bool { return !r.fork }

func commands(lines ...string) buildkite.Step { return buildkite.Step{Commands: lines} }

func bazelRun(target string) string { return "dev/bazel run --config=release " + target }

// inTurn keeps builds that publish the same thing from overtaking one another.
func inTurn(step buildkite.Step, thing string) buildkite.Step {
	step.ConcurrencyGroup, step.Concurrency = "executor/publish/"+thing, 1
	return step
}

func (r run) releaseEnv() map[string]string {
	return map[string]string{"VERSION": r.version, "EXECUTOR_IS_TAGGED_RELEASE": strconv.FormatBool(r.released())}
}

// machineImage is a step on the executors' machine image.
func (r run) machineImage(target string) buildkite.Step {
	step := commands(bazelRun(target))
	if !r.always {
		step.Commands = []string{askWhetherChanged, bazelRun(target)}
		step.SoftFail = []buildkite.SoftFail{{ExitStatus: exitUnchanged}}
	}
	step.Env = r.releaseEnv()
	step.Env["IMAGE_FAMILY"] = family(r.kind, "", r.series)
	return step
}

// mirrorImage is a step on the mirror's machine image. Whether it changed is known from the diff, so nobody is asked.
func (r run) mirrorImage(target string) buildkite.Step {
	step := commands(bazelRun(target))
	step.Env = r.releaseEnv()
	step.Env["IMAGE_FAMILY"] = family(r.kind, mirrorThings, r.series)
	return step
}

// candidateImages are the targets of the images that the end-to-end test and people try out.
var candidateImages = []string{
	"//cmd/batcheshelper:candidate_push",
	"//cmd/executor:candidate_push",
	"//cmd/executor/kubernetes:candidate_push",
	"//cmd/frontend:candidate_push",
	"//cmd/standalone:candidate_push",
	guestCandidate,
}

const guestCandidate = "//docker-images/executor-vm:candidate_push"

func pushCandidates(r run) buildkite.Step {
	targets := candidateImages
	if r.is(ExecutorPatch) {
		targets = []string{guestCandidate}
	}
	var step buildkite.Step
	for _, target := range targets {
		step.Commands = append(step.Commands, bazelRun(target)+" -- --tag "+r.candidate)
	}
	step.Env = map[string]string{"VERSION": r.version}
	return step
}
