package helper

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-executor/executor/internal/batches"
	"github.com/open-executor/executor/internal/fault"
)

// Pre decides whether a step runs. If so it writes the step's script, stepN.sh; if not, a result that says so, and skip.json.
func (h *Helper) Pre(index int) error {
	s, err := h.load(index)
	if err != nil {
		return err
	}
	// One of an earlier step must not be taken for this one's.
	if err := h.remove(skipFile); err != nil {
		return err
	}
	runs, err := s.context.Holds(s.step.If)
	if err != nil {
		return inStep(index, err)
	}
	if !runs {
		return h.skip(s.input, index)
	}
	return inStep(index, h.prepare(s, index))
}

func (h *Helper) skip(input *batches.Input, index int) error {
	if err := h.Events.Skipped(index); err != nil {
		return err
	}
	if err := h.writeJSON(batches.ResultName(index), batches.Result{StepIndex: index, Skipped: true}); err != nil {
		return err
	}
	if err := h.dropWorkspaceFiles(input, index); err != nil {
		return err
	}
	// Behind the last step this names none, and the executor skips all that is left.
	return h.writeJSON(skipFile, map[string]string{"nextStep": fmt.Sprintf("step.%d.pre", input.Next(index))})
}

func (h *Helper) prepare(s *state, index int) error {
	var script strings.Builder
	files, err := h.files(s, index)
	if err != nil {
		return err
	}
	mounts, err := h.mounts(s.step.Mount)
	if err != nil {
		return err
	}
	env, err := environment(s, h.Environ)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&script, "export %s=%s\n", name, quote(env[name]))
	}
	script.WriteString(files)
	script.WriteString(mounts)
	if err := h.Events.Started(index, env); err != nil {
		return err
	}
	run, err := s.context.Render("run", s.step.Run)
	if err != nil {
		return err
	}
	script.WriteString(run)
	return h.write(fmt.Sprintf("step%d.sh", index), script.String(), 0o755)
}

// environment returns the step's variables, with the templates in them rendered.
func environment(s *state, environ []string) (map[string]string, error) {
	env := s.step.Env.Resolve(environ)
	for name, value := range env {
		if !isVariable(name) {
			return nil, fault.Userf("env: %q can't be the name of a variable in sh: use letters, digits and _, no digit in front", name)
		}
		rendered, err := s.context.Render("env "+name, value)
		if err != nil {
			return nil, err
		}
		if strings.ContainsRune(rendered, 0) {
			return nil, fault.Userf("env %s has a NUL in it, which no variable can have", name)
		}
		env[name] = rendered
	}
	return env, nil
}

// files writes the step's files to a directory of the workspace, and returns the lines that copy them in the step's container.
func (h *Helper) files(s *state, index int) (string, error) {
	if len(s.step.Files) == 0 {
		return "", nil
	}
	dir := filesDir(index)
	if err := os.Mkdir(filepath.Join(h.Workspace, dir), 0o755); err != nil {
		return "", fmt.Errorf("the directory of the step's files, which has to be new: %w", err)
	}
	var lines strings.Builder
	for i, target := range slices.Sorted(maps.Keys(s.step.Files)) {
		if err := checkTarget("files", target); err != nil {
			return "", err
		}
		content, err := s.context.Render("files "+target, s.step.Files[target])
		if err != nil {
			return "", err
		}
		name := filepath.Join(dir, fmt.Sprintf("file%d", i))
		if err := h.write(name, content, 0o644); err != nil {
			return "", err
		}
		target = quote(operand(target))
		fmt.Fprintf(&lines, "cp %s %s\nchmod +x %s\n", quote(filepath.Join(h.Workspace, name)), target, target)
	}
	return lines.String(), nil
}

func filesDir(index int) string { return fmt.Sprintf("step%dfiles", index) }

// checkTarget refuses paths in the step's container that can't be.
func checkTarget(member, target string) error {
	if target == "" || strings.ContainsRune(target, 0) {
		return fault.Userf("%s: %q is no path in the step's container", member, target)
	}
	return nil
}
