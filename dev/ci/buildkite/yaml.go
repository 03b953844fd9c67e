package buildkite

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// YAML writes a valid pipeline for its upload, with comment, one line, above it.
func (p Pipeline) YAML(comment string) ([]byte, error) {
	var document yaml.Node
	if err := document.Encode(p); err != nil {
		return nil, err
	}
	document.HeadComment = comment
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, err
	}
	if err := encoder.Close(); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
