package helper

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/open-executor/executor/internal/batches"
	"github.com/open-executor/executor/internal/batches/cachekey"
	"github.com/open-executor/executor/internal/batches/spectemplate"
	"github.com/open-executor/executor/internal/batches/workfile"
	"github.com/open-executor/executor/internal/fault"
)

// logLimit bounds stdoutN.log and stderrN.log, in bytes.
const logLimit = 128 << 20

// Post records what a step did: it writes the result, stepN.json, tells it, and deletes what no later step needs.
func (h *Helper) Post(ctx context.Context, index int) error {
	s, err := h.load(index)
	if err != nil {
		return err
	}
	result, err := h.result(ctx, s, index)
	if err != nil {
		return inStep(index, err)
	}
	if err := h.Events.Succeeded(index, result.Diff, result.Outputs); err != nil {
		return err
	}
	if err := h.writeJSON(batches.ResultName(index), result); err != nil {
		return err
	}
	mounted, err := h.mounted(s.input)
	if err != nil {
		return inStep(index, err)
	}
	key, err := cachekey.Of(s.input, index, h.Environ, mounted)
	if err != nil {
		return inStep(index, err)
	}
	if err := h.Events.Cached(key, result); err != nil {
		return err
	}
	if err := h.remove(filesDir(index)); err != nil {
		return err
	}
	return h.dropWorkspaceFiles(s.input, index)
}

func (h *Helper) result(ctx context.Context, s *state, index int) (batches.Result, error) {
	result := batches.Result{StepIndex: index}
	diff, err := h.diff(ctx)
	if err != nil {
		return result, err
	}
	result.Diff = diff
	if result.ChangedFiles, err = batches.ChangesIn(diff); err != nil {
		return result, err
	}
	for name, text := range map[string]*string{"stdout": &result.Stdout, "stderr": &result.Stderr} {
		log, err := workfile.Read(h.Workspace, fmt.Sprintf("%s%d.log", name, index), logLimit)
		if err != nil {
			return result, fmt.Errorf("the step's %s: %w", name, err)
		}
		*text = string(log)
	}
	result.Outputs, err = outputs(s, result)
	return result, err
}

// outputs returns those of earlier steps and, over them, this step's. They are rendered in the order of their names, and see those before.
func outputs(s *state, result batches.Result) (map[string]any, error) {
	all := make(map[string]any)
	maps.Copy(all, s.previous.Outputs)
	within := &spectemplate.Context{
		Input:    s.input,
		Outputs:  all,
		Changes:  result.ChangedFiles,
		Previous: s.context.Previous,
		Current:  outcome(result),
	}
	for _, name := range slices.Sorted(maps.Keys(s.step.Outputs)) {
		output := s.step.Outputs[name]
		text, err := within.Render("outputs "+name, output.Value)
		if err != nil {
			return nil, err
		}
		if all[name], err = parse(output.Format, text); err != nil {
			return nil, fault.Userf("outputs %s: the text isn't %s, as its format says: %w", name, output.Format, err)
		}
	}
	return all, nil
}

// parse reads a text that has a format, of which the value can be written as JSON again.
func parse(format, text string) (value any, err error) {
	switch format {
	case "json":
		// What follows the first value is left alone, as always: programs print more than they should.
		err = json.NewDecoder(strings.NewReader(text)).Decode(&value)
	case "yaml":
		if err = yaml.Unmarshal([]byte(text), &value); err == nil {
			_, err = json.Marshal(value)
		}
	default:
		value = text
	}
	return value, err
}

func (h *Helper) repository() string { return filepath.Join(h.Workspace, "repository") }
