// Package helper does what stands before and after each step of a batch change's job: it turns the step of the spec into a script, and what
// the script did into a result (spec section 9). A job calls it in turn: pre 0, the script, post 0, pre 1 and so on.
//
// All paths are found from the workspace, which is the working directory of these commands: /data with Docker, /job in Kubernetes. Indices
// count from 0 everywhere here; the events, of which some count from 1, are package event's business.
package helper

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/internal/batches"
	"github.com/open-executor/executor/internal/batches/event"
	"github.com/open-executor/executor/internal/batches/spectemplate"
	"github.com/open-executor/executor/internal/jobtree"
)

// skipFile tells the executor which step comes next (spec section 4.4).
const skipFile = "skip.json"

// Helper works in one workspace. It isn't for several goroutines at once.
type Helper struct {
	// Workspace is the absolute path of the directory that has the repository, the scripts and the results in it.
	Workspace string
	// Input, PreviousDir and WorkspaceFiles are the input file and the directories of earlier results and of the files to mount. They are
	// relative to the workspace unless they are absolute.
	Input          string
	PreviousDir    string
	WorkspaceFiles string
	// Environ is what steps may take variables over from, as os.Environ gives it.
	Environ []string
	// TrustRepository lets git work in a repository that belongs to another user.
	TrustRepository bool
	Events          *event.Log
}

// state is what pre and post begin with.
type state struct {
	input    *batches.Input
	step     batches.Step
	previous batches.Result
	// context is as pre sees it.
	context *spectemplate.Context
}

func (h *Helper) load(index int) (*state, error) {
	input, err := batches.ReadInput(h.path(h.Input))
	if err != nil {
		return nil, err
	}
	step, err := input.Step(index)
	if err != nil {
		return nil, err
	}
	previous, err := batches.Previous(h.path(h.PreviousDir), index)
	if err != nil {
		return nil, err
	}
	changes, err := batches.ChangesIn(previous.Diff)
	if err != nil {
		return nil, fmt.Errorf("the diff of the result before step %d: %w", index, err)
	}
	return &state{input, step, previous, &spectemplate.Context{
		Input:    input,
		Outputs:  previous.Outputs,
		Changes:  changes,
		Previous: outcome(previous),
	}}, nil
}

func outcome(result batches.Result) spectemplate.Outcome {
	return spectemplate.Outcome{Changes: result.ChangedFiles, Stdout: result.Stdout, Stderr: result.Stderr}
}

// path returns where a path is that is relative to the workspace, or absolute.
func (h *Helper) path(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(h.Workspace, path)
}

// writeJSON puts a file in the workspace.
func (h *Helper) writeJSON(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return h.write(name, string(text), 0o644)
}

func (h *Helper) write(name, text string, mode os.FileMode) error {
	if err := jobtree.WriteFile(h.Workspace, name, mode, strings.NewReader(text)); err != nil {
		return fmt.Errorf("writing %s in the workspace %s: %w", name, h.Workspace, err)
	}
	return nil
}

// remove deletes a file or directory of the workspace, or nothing if there is none. Symlinks are deleted, never followed out of it.
func (h *Helper) remove(name string) error {
	root, err := os.OpenRoot(h.Workspace)
	if err != nil {
		return fmt.Errorf("opening the workspace: %w", err)
	}
	defer func() { _ = root.Close() }()
	if err := root.RemoveAll(name); err != nil {
		return fmt.Errorf("deleting %s in the workspace %s: %w", name, h.Workspace, err)
	}
	return nil
}

// dropWorkspaceFiles deletes the workspace files after the last step that needs them. While any step has mounts, that is the last step of
// all: later scripts copy the files, and every cache key has the metadata of all of them. A directory outside of the workspace stays.
func (h *Helper) dropWorkspaceFiles(input *batches.Input, index int) error {
	if input.HasMounts() && input.Next(index) < len(input.Steps) {
		return nil
	}
	relative, err := filepath.Rel(h.Workspace, h.path(h.WorkspaceFiles))
	if err != nil || relative == "." || !filepath.IsLocal(relative) {
		return nil
	}
	return h.remove(relative)
}

// inStep names the step in an error, as people count and as files are called.
func inStep(index int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("step %d (index %d): %w", index+1, index, err)
}
