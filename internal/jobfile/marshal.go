package jobfile

import (
	"bytes"
	"encoding/json"

	"github.com/open-executor/executor/internal/api/jobs"
)

// Marshal renders a spec as a JSON job file, the body of a submission: Parse reads it back identically. It has the secrets'
// values.
func Marshal(spec jobs.Spec) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(spec); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
