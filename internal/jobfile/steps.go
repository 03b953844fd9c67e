package jobfile

import (
	"strconv"
	"strings"

	"github.com/open-executor/executor/internal/api/jobs"
)

func (r *reader) steps(p place, secrets map[string]jobs.Secret) []jobs.Step {
	if p.node.kind != list {
		r.fail(p, "wants a list of steps, got %s", p.node.describe())
		return nil
	}
	if len(p.node.items) == 0 {
		r.fail(p, "is empty: a job runs at least one step")
	}
	steps := make([]jobs.Step, 0, len(p.node.items))
	byKey := make(map[string]place)
	src := ""
	for i := range p.node.items {
		at := p.item(i)
		step := r.step(at, i, secrets)
		steps = append(steps, step)
		if before, ok := byKey[step.Key]; ok && step.Key != "" {
			r.fail(at, "has the key %q of %s: keys are unique, and a step without one has its index as key", step.Key, before.path)
		}
		byKey[step.Key] = at
		switch {
		case step.Src != nil && src == "":
			src = at.path
		case step.Image != "" && src != "":
			r.fail(at, "a container step after the src step %s: src steps always run last, so move this one before it", src)
		}
	}
	return steps
}

func (r *reader) step(p place, index int, secrets map[string]jobs.Secret) jobs.Step {
	step := jobs.Step{Key: strconv.Itoa(index)}
	m, ok := r.members(p, "a mapping with image and run, or with src", "key", "image", "dir", "env", "run", "src")
	if !ok {
		return step
	}
	if v, ok := m["key"]; ok {
		step.Key, _ = r.matching(v, keyRule)
	}
	if v, ok := m["dir"]; ok {
		step.Dir, _ = r.directory(v)
	}
	if v, ok := m["env"]; ok {
		step.Env = r.environment(v, secrets)
	}
	image, hasImage := m["image"]
	run, hasRun := m["run"]
	src, hasSrc := m["src"]
	switch {
	case hasImage && hasSrc:
		r.fail(src, "a step has image and run, or src, not both: make it two steps")
	case hasSrc && hasRun:
		r.fail(run, "a src step runs the src command only: give the lines a step of their own with an image")
	case !hasImage && !hasSrc:
		r.missing(p, m, "has neither image nor src: say in which image it runs")
	case hasImage && !hasRun:
		r.missing(p, m, "has no run: say which commands to run; an image's own entrypoint is not used")
	}
	if hasImage {
		step.Image, _ = r.matching(image, imageRule)
	}
	if hasRun {
		step.Run = r.run(run)
	}
	if hasSrc {
		step.Src = r.texts(src, "a list of arguments of the src command")
	}
	return step
}

// run accepts one text or a list of texts.
func (r *reader) run(p place) []string {
	var lines []string
	switch p.node.kind {
	case list:
		lines = r.texts(p, "shell lines")
		if len(lines) < len(p.node.items) {
			return lines
		}
	default:
		text, ok := r.text(p)
		if !ok {
			return nil
		}
		// The newline at the end of a block scalar is no line of its own.
		lines = []string{strings.TrimSuffix(text, "\n")}
	}
	if len(lines) > 0 && strings.TrimSpace(strings.Join(lines, "")) == "" {
		r.fail(p, "has no command: remove the step, or write what it runs")
	}
	return lines
}

func (r *reader) environment(p place, secrets map[string]jobs.Secret) map[string]string {
	entries, _ := r.entries(p, "a mapping of variables to values")
	var env map[string]string
	for _, e := range entries {
		if !envRule.pattern.MatchString(e.name) {
			r.fail(e.named, "%s is no %s: %s", quote(e.name), envRule.what, envRule.wants)
			continue
		}
		if _, ok := secrets[e.name]; ok {
			r.fail(e.named, "is a secret of the job too, and secrets are set in every step: rename one of them")
			continue
		}
		if value, ok := r.text(e.value); ok {
			if env == nil {
				env = make(map[string]string)
			}
			env[e.name] = value
		}
	}
	return env
}
