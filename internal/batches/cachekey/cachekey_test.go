package cachekey

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/batches"
)

func read(t *testing.T, text string) *batches.Input {
	t.Helper()
	var input batches.Input
	require.NoError(t, json.Unmarshal([]byte(text), &input))
	return &input
}

// The spec's two vectors, which the reference's servers compute as well.
func TestVectors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"steps":[{"run":"echo hello world"}]}`:                                       "deZzMP85HWs6lfhWRnMVBA-step-0",
		`{"steps":[{"run":"echo hello world","files":{"file1.txt":"hello world"}}]}`:   "4qXjs4-Arh1VpWWfWhqm3A-step-0",
		`{"steps":[{"env":null,"run":"echo hello world","mount":[]},{"run":"later"}]}`: "deZzMP85HWs6lfhWRnMVBA-step-0",
	} {
		got, err := Of(read(t, text), 0, []string{"UNRELATED=x"}, nil)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
}

// Whatever can change a step's outcome changes its key.
func TestEverythingCounts(t *testing.T) {
	t.Parallel()
	const plain = `{"BatchChangeAttributes":{"name":"n"},"repository":{"id":"1","name":"r"},"branch":{"name":"b","target":{"oid":"o"}},` +
		`"path":"p","searchResultPaths":["b","a"],"steps":[{"run":"one","env":["TAKEN"]},{"run":"two"}]}`
	seen := map[string]string{}
	add := func(name, text string, index int, environ []string, mounted ...MountedFile) {
		key, err := Of(read(t, text), index, environ, mounted)
		require.NoError(t, err)
		require.NotContains(t, seen, key, name)
		seen[key] = name
	}
	add("plain", plain, 0, nil)
	add("index", plain, 1, nil)
	add("environment", plain, 0, []string{"TAKEN=1"})
	add("mount", plain, 0, nil, MountedFile{Path: "a", Size: 1})
	add("mount's size", plain, 0, nil, MountedFile{Path: "a", Size: 2})
	add("mount's time", plain, 0, nil, MountedFile{Path: "a", Size: 2, Modified: time.Unix(1, 0).UTC()})
	for member, text := range map[string]string{
		"BatchChangeAttributes": `{"description":"d"}`, "repository": `{"id":"2"}`, "branch": `{"target":{"oid":"x"}}`, "path": `"q"`,
		"onlyFetchWorkspace": `true`, "searchResultPaths": `["c"]`, "steps": `[{"run":"one","if":false}]`,
	} {
		add(member, plain[:len(plain)-1]+`,"`+member+`":`+text+`}`, 0, nil)
	}
	ordered, err := Of(read(t, plain[:len(plain)-1]+`,"searchResultPaths":["a","b"]}`), 0, nil, nil)
	require.NoError(t, err)
	require.Equal(t, "plain", seen[ordered], "the order of search results doesn't count")
	_, err = Of(read(t, plain), 2, nil, nil)
	require.EqualError(t, err, "there is no step 2: the input has 2 steps, counted from 0")
}
