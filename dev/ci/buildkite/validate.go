package buildkite

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var keyPattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Validate checks what Buildkite would refuse only after the upload, or not at all: keys are well formed and unique, a step depends on
// earlier steps only (so there are no cycles), nothing is empty, every wait is bounded, variables are among the known ones, and no text holds
// a dollar sign: the upload replaces $NAME by what the agent's environment says, its credentials included. The error names every fault.
func (p Pipeline) Validate(known []string) error {
	if len(p.Steps) == 0 {
		return errors.New("the pipeline has no steps")
	}
	var faults []error
	seen := make(map[string]bool)
	for _, step := range p.Steps {
		for _, fault := range step.faults(known, seen) {
			faults = append(faults, fmt.Errorf("step %q: %w", step.Key, fault))
		}
		seen[step.Key] = true
	}
	return errors.Join(faults...)
}

func (s Step) faults(known []string, seen map[string]bool) []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !keyPattern.MatchString(s.Key) {
		fault("the key is not of the form %s", keyPattern)
	}
	if seen[s.Key] {
		fault("another step has the same key")
	}
	if s.Label == "" {
		fault("the label is empty")
	}
	for _, other := range s.DependsOn {
		if !seen[other] {
			fault("it depends on %q, and no step before it has that key", other)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if !slices.Contains(known, name) {
			fault("nothing reads the variable %s", name)
		}
		if s.Env[name] == "" {
			fault("the variable %s is empty", name)
		}
	}
	texts := slices.Concat([]string{s.Label, s.ConcurrencyGroup}, s.Commands, slices.Sorted(maps.Values(s.Env)))
	for _, text := range texts {
		if strings.Contains(text, "$") {
			fault("%q holds a dollar sign, and the upload would replace what follows it", text)
		}
	}
	if len(s.Commands) == 0 {
		fault("it has no command")
	}
	for i, command := range s.Commands {
		if strings.TrimSpace(command) == "" || strings.ContainsAny(command, "\r\n") {
			fault("command %d, %q, is not one line", i+1, command)
		}
	}
	for _, soft := range s.SoftFail {
		if soft.ExitStatus < 1 || soft.ExitStatus > 255 {
			fault("it fails softly with %d, which is not the exit code of a failure", soft.ExitStatus)
		}
	}
	if s.TimeoutInMinutes < 1 {
		fault("its timeout is %d minutes", s.TimeoutInMinutes)
	}
	for _, retry := range s.Retry.Automatic {
		if retry.Limit < 1 {
			fault("it is retried %d times after exit code %d", retry.Limit, retry.ExitStatus)
		}
	}
	if (s.ConcurrencyGroup == "") != (s.Concurrency == 0) {
		fault("a concurrency group and a concurrency go together, got %q and %d", s.ConcurrencyGroup, s.Concurrency)
	}
	return faults
}
