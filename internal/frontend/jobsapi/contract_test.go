package jobsapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/jobsapi"
	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
	"github.com/open-executor/executor/internal/jobfile"
)

// contract is openapi.yaml.
type contract struct {
	document map[string]any
	compiler *jsonschema.Compiler
}

const resource = "https://example.com/api/v1/openapi.json"

// loadContract reads openapi.yaml as a client gets it.
var loadContract = sync.OnceValues(func() (*contract, error) {
	// The file itself: the handler serves the same bytes, which TestDocuments checks.
	data, err := readFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	generic, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return nil, err
	}
	jobSchema, err := jsonschema.UnmarshalJSON(bytes.NewReader(jobfile.Schema))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(resource, generic); err != nil {
		return nil, err
	}
	if err := compiler.AddResource("https://example.com/api/v1/job.schema.json", jobSchema); err != nil {
		return nil, err
	}
	return &contract{document, compiler}, nil
})

func theContract(t testing.TB) *contract {
	t.Helper()
	c, err := loadContract()
	require.NoError(t, err)
	return c
}

// member walks the document, through references.
func (c *contract) member(t testing.TB, path ...string) (pointer string, value any) {
	t.Helper()
	value, pointer = any(c.document), "#"
	for _, name := range path {
		value, pointer = value.(map[string]any)[name], pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		if object, ok := value.(map[string]any); ok && object["$ref"] != nil {
			target := strings.Split(strings.TrimPrefix(object["$ref"].(string), "#/"), "/")
			pointer, value = c.member(t, target...)
		}
		if value == nil {
			return pointer, nil
		}
	}
	return pointer, value
}

// compilation guards the compiler, which is not safe for concurrent use.
var compilation sync.Mutex

func (c *contract) validate(t testing.TB, pointer string, body []byte) {
	t.Helper()
	compilation.Lock()
	defer compilation.Unlock()
	schema, err := c.compiler.Compile(resource + pointer)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	require.NoError(t, err, string(body))
	require.NoError(t, schema.Validate(value), string(body))
}

// response is what a call got.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (r response) decode(t testing.TB, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(r.body, into), string(r.body))
}

// problem is the error that the answer tells.
func (r response) problem(t testing.TB) jobs.Error {
	t.Helper()
	var body jobs.ErrorBody
	r.decode(t, &body)
	return body.Error
}

// request is a call to be made.
type request struct {
	method, path, body string
	header             http.Header
}

// call makes a request with the token and holds the answer against the contract.
func call(t testing.TB, f *jobsapitest.Frontend, req request) response {
	t.Helper()
	out, err := http.NewRequest(req.method, f.URL+req.path, strings.NewReader(req.body))
	require.NoError(t, err)
	out.Header.Set("Authorization", "Bearer "+jobsapitest.Token)
	for name, values := range req.header {
		out.Header[name] = values
		if values[0] == "" {
			delete(out.Header, name)
		}
	}
	got, err := f.Client().Do(out)
	require.NoError(t, err)
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	answer := response{got.StatusCode, got.Header, body}
	answer.check(t, req)
	return answer
}

func get(t testing.TB, f *jobsapitest.Frontend, path string) response {
	t.Helper()
	return call(t, f, request{method: "GET", path: path})
}

var ids = regexp.MustCompile(`^/jobs/[^/]*`)

// check holds an answer against openapi.yaml: of a described operation, status, type and body are described; everything else is
// an error of the one shape.
func (r response) check(t testing.TB, req request) {
	t.Helper()
	c := theContract(t)
	contentType := r.header.Get("Content-Type")
	require.NotEmpty(t, contentType)
	require.Equal(t, "no-store", r.header.Get("Cache-Control"))
	path, _, _ := strings.Cut(strings.TrimPrefix(req.path, jobsapi.Prefix), "?")
	path = ids.ReplaceAllString(path, "/jobs/{id}")
	_, operation := c.member(t, "paths", path, strings.ToLower(req.method))
	if operation == nil {
		require.GreaterOrEqual(t, r.status, 400, "an undescribed operation succeeded")
		require.Equal(t, "application/json", contentType)
		c.validate(t, "#/components/schemas/Error", r.body)
		return
	}
	pointer, described := c.member(t, "paths", path, strings.ToLower(req.method), "responses", strconv.Itoa(r.status))
	require.NotNil(t, described, "status %d of %s %s is not described: %s", r.status, req.method, path, r.body)
	content := described.(map[string]any)["content"].(map[string]any)
	require.Contains(t, content, contentType)
	if strings.HasSuffix(contentType, "json") {
		c.validate(t, pointer+"/content/"+strings.ReplaceAll(contentType, "/", "~1")+"/schema", r.body)
	}
}

// TestRoutesAreDescribed: every route is in openapi.yaml and the other way round, with its parameters and types.
func TestRoutesAreDescribed(t *testing.T) {
	t.Parallel()
	c := theContract(t)
	described := make(map[string]bool)
	for path, item := range c.document["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	for _, route := range jobsapi.Routes() {
		name := route.Method + " " + route.Path
		require.True(t, described[name], "%s is not described", name)
		delete(described, name)
		_, value := c.member(t, "paths", route.Path, strings.ToLower(route.Method))
		operation := value.(map[string]any)
		var query []string
		list, _ := operation["parameters"].([]any)
		for _, parameter := range list {
			if p := parameter.(map[string]any); p["in"] == "query" {
				query = append(query, p["name"].(string))
			}
		}
		require.ElementsMatch(t, route.Query, query, name)
		_, public := operation["security"]
		require.Equal(t, route.Public, public, name)
	}
	require.Empty(t, described, "described, but nothing handles them")
}
