package jobfile_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/open-executor/executor/internal/jobfile"
)

// beyondSchema are broken job files that no schema can refuse, with the reason.
var beyondSchema = map[string]string{
	"alias-bomb.yaml":         "expands to more than a job file may have; unknown members come second",
	"control.yaml":            "not YAML",
	"duplicate.json":          "the second member of a name hides the first",
	"file-below-file.yaml":    "compares two paths",
	"file-is-clone.yaml":      "compares two paths",
	"file-twice.yaml":         "compares two paths",
	"half-surrogate.json":     "decoders replace it",
	"key-is-index.yaml":       "compares two steps",
	"key-twice.yaml":          "compares two steps",
	"retries-hex.yaml":        "a schema sees the number",
	"secret-and-env.yaml":     "compares two names",
	"secret-env-empty.yaml":   "looks at the environment",
	"secret-env-missing.yaml": "looks at the environment",
	"src-first.yaml":          "compares two steps",
	"tag.yaml":                "a schema sees the text",
	"timeout-long.yaml":       "compares times",
	"timeout-short.yaml":      "compares times",
	"two-documents.yaml":      "a schema sees the first document",
	"two-values.json":         "a schema sees the first value",
	"binary-tag.yaml":         "a schema sees the text",
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(jobfile.Schema))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("job.schema.json", document))
	compiled, err := compiler.Compile("job.schema.json")
	require.NoError(t, err)
	return compiled
}

// generic decodes a job file the way an editor would.
func generic(file string, data []byte) (value any, err error) {
	if strings.HasSuffix(file, ".json") {
		return jsonschema.UnmarshalJSON(bytes.NewReader(data))
	}
	if err = yaml.Unmarshal(data, &value); err != nil {
		return nil, err
	}
	// Through JSON, so that numbers and member names are JSON's.
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(body))
}

func TestSchemaRefusesBadJobFiles(t *testing.T) {
	t.Parallel()
	compiled := schema(t)
	refused := 0
	for _, file := range fixtures(t, "bad") {
		value, err := generic(file, read(t, file))
		if err != nil {
			continue
		}
		name := filepath.Base(file)
		if reason, ok := beyondSchema[name]; ok {
			require.NotEmpty(t, reason)
			continue
		}
		require.Error(t, compiled.Validate(value), name)
		refused++
	}
	require.Greater(t, refused, 60)
	for name := range beyondSchema {
		require.FileExists(t, filepath.Join("testdata", "bad", name))
	}
}

func TestSchemaAcceptsGoodJobFiles(t *testing.T) {
	t.Parallel()
	compiled := schema(t)
	for _, file := range fixtures(t, "good") {
		data := read(t, file)
		value, err := generic(file, data)
		require.NoError(t, err, file)
		require.NoError(t, compiled.Validate(value), file)
		spec, err := jobfile.Parse(file, data, jobfile.Options{Env: environment})
		require.NoError(t, err)
		body, err := jobfile.Marshal(spec)
		require.NoError(t, err)
		value, err = generic("body.json", body)
		require.NoError(t, err)
		require.NoError(t, compiled.Validate(value), "what Marshal makes of %s", file)
	}
}

// TestDocumentedExamples parses every job file of docs/jobs.md, and holds them against the schema.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "jobs.md"))
	require.NoError(t, err)
	compiled := schema(t)
	parts := strings.Split(string(text), "```")
	examples := 0
	for i := 1; i < len(parts); i += 2 {
		language, body, _ := strings.Cut(parts[i], "\n")
		if language != "yaml" && language != "json" {
			continue
		}
		examples++
		_, err := jobfile.Parse("docs/jobs.md", []byte(body), jobfile.Options{Env: environment})
		require.NoError(t, err, body)
		value, err := generic("example."+language, []byte(body))
		require.NoError(t, err)
		require.NoError(t, compiled.Validate(value), body)
	}
	require.Greater(t, examples, 5)
}
