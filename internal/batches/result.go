package batches

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/open-executor/executor/internal/batches/workfile"
)

const (
	// ResultVersion is what results are written in: the diff is base64, which keeps its bytes.
	ResultVersion = 2
	// resultLimit bounds stepN.json, in bytes: a diff, two logs and their JSON.
	resultLimit = 1 << 30
)

// Result is stepN.json: what stands after a step.
type Result struct {
	// ChangedFiles are those that this and all earlier steps changed.
	ChangedFiles Changes
	Stdout       string
	Stderr       string
	// StepIndex counts from 0.
	StepIndex int
	// Diff is that of all steps so far, by git.
	Diff []byte
	// Outputs are those of all steps so far.
	Outputs map[string]any
	Skipped bool
}

// members is a result's JSON. Diff is base64 in version 2, plain text in version 1, which had no version member.
type members struct {
	Version      int             `json:"version"`
	ChangedFiles Changes         `json:"changedFiles"`
	Stdout       string          `json:"stdout"`
	Stderr       string          `json:"stderr"`
	StepIndex    int             `json:"stepIndex"`
	Diff         json.RawMessage `json:"diff"`
	Outputs      map[string]any  `json:"outputs"`
	Skipped      bool            `json:"skipped"`
}

// MarshalJSON writes version 2.
func (r Result) MarshalJSON() ([]byte, error) {
	diff := r.Diff
	if diff == nil {
		diff = []byte{} // "" rather than null
	}
	encoded, err := json.Marshal(diff)
	if err != nil {
		return nil, err
	}
	outputs := r.Outputs
	if outputs == nil {
		outputs = map[string]any{}
	}
	return json.Marshal(members{ResultVersion, r.ChangedFiles, r.Stdout, r.Stderr, r.StepIndex, encoded, outputs, r.Skipped})
}

// UnmarshalJSON reads versions 1 and 2.
func (r *Result) UnmarshalJSON(data []byte) error {
	var m members
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	*r = Result{m.ChangedFiles, m.Stdout, m.Stderr, m.StepIndex, nil, m.Outputs, m.Skipped}
	if len(m.Diff) == 0 {
		return nil
	}
	switch m.Version {
	case 0, 1:
		var text string
		if err := json.Unmarshal(m.Diff, &text); err != nil {
			return fmt.Errorf("the diff of a result of version 1: %w", err)
		}
		r.Diff = []byte(text)
		return nil
	case ResultVersion:
		if err := json.Unmarshal(m.Diff, &r.Diff); err != nil {
			return fmt.Errorf("the diff of a result of version 2: %w", err)
		}
		return nil
	default:
		return fmt.Errorf("version %d of results is unknown here, which reads 1 and 2", m.Version)
	}
}

// ResultName is the file that the step with this index, counted from 0, leaves.
func ResultName(index int) string { return fmt.Sprintf("step%d.json", index) }

// Previous returns the result of the last step before index that wasn't skipped, an empty one if there is none.
func Previous(dir string, index int) (Result, error) {
	for i := index - 1; i >= 0; i-- {
		data, err := workfile.Read(dir, ResultName(i), resultLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Result{}, fmt.Errorf("reading the result of step %d (counted from 0): %w", i, err)
		}
		var result Result
		if err := json.Unmarshal(data, &result); err != nil {
			return Result{}, fmt.Errorf("the result of step %d (counted from 0), %s in %s, can't be read: %w", i, ResultName(i), dir, err)
		}
		if !result.Skipped {
			return result, nil
		}
	}
	return Result{}, nil
}
