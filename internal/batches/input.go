// Package batches is the data of a batch change's job in Sourcegraph's form: the input, its steps, and the result that each step leaves
// (spec section 9, and the batch spec's published schema for the members of a step).
package batches

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/open-executor/executor/internal/batches/workfile"
	"github.com/open-executor/executor/internal/fault"
)

// inputLimit bounds input.json, in bytes.
const inputLimit = 64 << 20

// Input is input.json: one repository of a batch change, and what is to be done there.
type Input struct {
	BatchChangeAttributes Attributes
	Repository            Repository `json:"repository"`
	Branch                Branch     `json:"branch"`
	// Path is where in the repository the steps run; "" is its root.
	Path               string `json:"path"`
	OnlyFetchWorkspace bool   `json:"onlyFetchWorkspace"`
	Steps              []Step `json:"steps"`
	// SearchResultPaths stays nil when the input has null there: cache keys tell the two apart.
	SearchResultPaths []string `json:"searchResultPaths"`
	// SkippedSteps are the steps, counted from 0, of which the server knew beforehand that they don't run. The job has no commands for them.
	SkippedSteps map[int]struct{} `json:"skippedSteps"`
}

// Attributes are the batch change's own.
type Attributes struct {
	Name        string
	Description string
}

// Repository is where the steps run. ID is Sourcegraph's.
type Repository struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Branch is what the repository is checked out at.
type Branch struct {
	Name   string `json:"name"`
	Target struct {
		OID string `json:"oid"`
	} `json:"target"`
}

// Step is one of the batch spec's. It is hashed into cache keys as it is encoded here: the order of its members and what is left out when
// empty are part of the contract.
type Step struct {
	Run       string            `json:"run,omitempty"`
	Container string            `json:"container,omitempty"`
	Env       Environment       `json:"env"`
	Files     map[string]string `json:"files,omitempty"`
	Outputs   map[string]Output `json:"outputs,omitempty"`
	Mount     []Mount           `json:"mount,omitempty"`
	// If is nil, a bool, or a template that says "true" when the step is to run.
	If any `json:"if,omitempty"`
}

// Output is a value that a step leaves to later ones: a template, whose text is read as "json" or "yaml" if Format says so.
type Output struct {
	Value  string `json:"value,omitempty"`
	Format string `json:"format,omitempty"`
}

// Mount puts a file or directory of the workspace files at a path in the step's container.
type Mount struct {
	Mountpoint string `json:"mountpoint"`
	Path       string `json:"path"`
}

// ReadInput reads an input file.
func ReadInput(path string) (*Input, error) {
	data, err := workfile.Read(filepath.Dir(path), filepath.Base(path), inputLimit)
	if err != nil {
		return nil, fmt.Errorf("reading the input %s (option -input): %w", path, err)
	}
	var input Input
	if err := json.Unmarshal(data, &input); err != nil {
		return nil, fault.Userf("the input %s is no execution input of a batch change: %w", path, err)
	}
	return &input, nil
}

// Step returns a step, counted from 0.
func (i *Input) Step(index int) (Step, error) {
	if index < 0 || index >= len(i.Steps) {
		return Step{}, fault.Userf("there is no step %d: the input has %d steps, counted from 0", index, len(i.Steps))
	}
	return i.Steps[index], nil
}

// Next returns the first step after index that isn't skipped from the beginning; the number of steps when there is none.
func (i *Input) Next(index int) int {
	for index++; index < len(i.Steps); index++ {
		if _, skipped := i.SkippedSteps[index]; !skipped {
			return index
		}
	}
	return len(i.Steps)
}

// HasMounts reports whether any step mounts workspace files.
func (i *Input) HasMounts() bool {
	for _, step := range i.Steps {
		if len(step.Mount) > 0 {
			return true
		}
	}
	return false
}
