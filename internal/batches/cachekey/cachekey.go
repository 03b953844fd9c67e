// Package cachekey computes the name under which a batch change's server keeps the result of a step (spec section 9).
package cachekey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/open-executor/executor/internal/batches"
)

// MountedFile is a file that some step mounts. Path is relative to the workspace files, Modified in UTC.
type MountedFile struct {
	Path     string
	Size     int64
	Modified time.Time
}

// repository has more members than the input's, in the key's order.
type repository struct {
	ID          string
	Name        string
	BaseRef     string
	BaseRev     string
	FileMatches []string
}

// document is what is hashed: names and order of its members are the contract.
type document struct {
	Repository            repository
	Path                  string
	OnlyFetchWorkspace    bool
	Steps                 []batches.Step
	BatchChangeAttributes batches.Attributes
	StepIndex             int
	Environments          []map[string]string
	MountsMetadata        []MountedFile `json:",omitempty"`
}

// Of returns the key of the result after the step with this index, counted from 0. Environ is the process's, for variables that steps take
// over. Mounted are the files of all steps, also of those after index: the server counts them in.
func Of(input *batches.Input, index int, environ []string, mounted []MountedFile) (string, error) {
	if _, err := input.Step(index); err != nil {
		return "", err
	}
	steps := input.Steps[:index+1]
	doc := document{
		Repository: repository{
			ID:          input.Repository.ID,
			Name:        input.Repository.Name,
			BaseRef:     input.Branch.Name,
			BaseRev:     input.Branch.Target.OID,
			FileMatches: slices.Clone(input.SearchResultPaths),
		},
		Path:                  input.Path,
		OnlyFetchWorkspace:    input.OnlyFetchWorkspace,
		Steps:                 steps,
		BatchChangeAttributes: input.BatchChangeAttributes,
		StepIndex:             index,
		MountsMetadata:        mounted,
	}
	slices.Sort(doc.Repository.FileMatches)
	for _, step := range steps {
		doc.Environments = append(doc.Environments, step.Env.Resolve(environ))
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%s-step-%d", base64.RawURLEncoding.EncodeToString(sum[:16]), index), nil
}
