// Package plan decides which steps a build has, from what is known of the build alone: it reads no files, no environment and no clock. The
// rules are those of spec section B4; docs/ci.md shows them as a table, which a test keeps in step.
package plan

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-executor/executor/dev/ci/buildkite"
)

// Build is what is known of a build.
type Build struct {
	// Branch is empty for the build of a tag on some systems, and the tag's name on others; Tag is empty for a branch.
	Branch, Tag string
	// Commit is the full hash.
	Commit  string
	Message string
	// Number counts the builds of a pipeline, in decimal.
	Number string
	// Fork: the commit comes from another repository.
	Fork bool
	// Internal asks for an internal release, of Version or, where that is empty, of Tag.
	Internal bool
	Version  string
	Changes  Changes
	// Time is when the build began.
	Time time.Time
}

// RebuildFlag in a commit's message builds the machine image whether or not it changed.
const RebuildFlag = "[skip-hash-compare]"

// run is a build with everything decided that its steps ask for.
type run struct {
	kind    RunType
	fork    bool
	changes Changes
	// always: the machine image is built without asking whether it changed.
	always bool
	// version is the release's without v, or a dated one.
	version string
	// series is "5-3" for a release 5.3.x, else empty.
	series string
	// candidate is the tag of the images that are pushed for tests.
	candidate string
}

// Make returns a build's pipeline. It is valid: what the build lacks or has wrong is an error that names it.
func Make(b Build) (buildkite.Pipeline, error) {
	r, err := newRun(b)
	if err != nil {
		return buildkite.Pipeline{}, err
	}
	pipeline := r.pipeline()
	if err := pipeline.Validate(knownVariables); err != nil {
		return buildkite.Pipeline{}, fmt.Errorf("the pipeline of a build of run type %q is wrong, mend dev/ci/plan: %w", r.kind, err)
	}
	return pipeline, nil
}

var (
	commitPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	numberPattern = regexp.MustCompile(`^[1-9][0-9]{0,9}$`)
)

func newRun(b Build) (run, error) {
	var faults []error
	if b.Branch == "" && b.Tag == "" {
		faults = append(faults, errors.New("neither a branch nor a tag is known: one of them decides what is built"))
	}
	if !commitPattern.MatchString(b.Commit) {
		faults = append(faults, fmt.Errorf("commit %q is not a full hash of 40 or 64 lower-case hexadecimal digits", b.Commit))
	}
	if !numberPattern.MatchString(b.Number) {
		faults = append(faults, fmt.Errorf("build number %q is not a number from 1 on", b.Number))
	}
	if len(faults) > 0 {
		return run{}, errors.Join(faults...)
	}
	r := run{
		kind:      b.RunType(),
		fork:      b.Fork,
		changes:   b.Changes,
		candidate: b.Commit + "_" + b.Number + "_candidate",
	}
	r.always = r.is(ReleaseBranch, Tagged, InternalRelease) || b.Changes.VMImage || strings.Contains(b.Message, RebuildFlag)
	return r.withVersion(b)
}

func (r run) withVersion(b Build) (run, error) {
	source, text := "tag", b.Tag
	switch r.kind {
	case Tagged:
	case InternalRelease:
		if b.Version != "" {
			source, text = "VERSION", b.Version
		}
		source += " of the internal release"
	default:
		r.version = b.dated()
		return r, nil
	}
	release, err := parseRelease(source, text)
	if err != nil {
		return run{}, err
	}
	r.version = release.String()
	r.series = fmt.Sprintf("%d-%d", release.Major(), release.Minor())
	return r, nil
}

func (r run) is(kinds ...RunType) bool { return slices.Contains(kinds, r.kind) }

// released is what the scripts call a tagged release: an internal one counts too.
func (r run) released() bool { return r.is(Tagged, InternalRelease) }

// pipeline makes the steps that the run has.
func (r run) pipeline() buildkite.Pipeline {
	var p buildkite.Pipeline
	has := make(map[string]bool)
	for _, d := range definitions {
		if !d.when(r) {
			continue
		}
		has[d.key] = true
		step := d.make(r)
		step.Key, step.Label = d.key, d.label
		step.DependsOn = slices.Clone(d.needs)
		for _, other := range d.after {
			if has[other] {
				step.DependsOn = append(step.DependsOn, other)
			}
		}
		step.TimeoutInMinutes = cmp.Or(step.TimeoutInMinutes, buildkite.Minutes(stepTimeout))
		step.Retry = buildkite.RetryLostAgent()
		p.Steps = append(p.Steps, step)
	}
	return p
}
