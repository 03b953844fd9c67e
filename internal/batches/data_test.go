package batches

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		resolved map[string]string
		again    string
	}{
		`null`:                          {map[string]string{}, `{}`},
		`{}`:                            {map[string]string{}, `{}`},
		`{"B":"2","A":"1"}`:             {map[string]string{"A": "1", "B": "2"}, `{"A":"1","B":"2"}`},
		`[{"B":"2"},{"A":"1"}]`:         {map[string]string{"A": "1", "B": "2"}, `{"A":"1","B":"2"}`},
		`["TAKEN",{"A":"1"},"MISSING"]`: {map[string]string{"TAKEN": "x=y", "A": "1", "MISSING": ""}, `["TAKEN",{"A":"1"},"MISSING"]`},
	} {
		var env Environment
		require.NoError(t, json.Unmarshal([]byte(text), &env), text)
		require.Equal(t, want.resolved, env.Resolve([]string{"TAKEN=x=y", "OTHER=z"}), text)
		again, err := json.Marshal(env)
		require.NoError(t, err)
		require.Equal(t, want.again, string(again), text)
	}
	for text, want := range map[string]string{
		`{"A":1}`:                "env wants names with text",
		`[1]`:                    "env[0] is neither a name nor an object with one name and its text: 1",
		`["A",{"B":"1","C":""}]`: "env[1] is neither",
		`[{}]`:                   "env[0] is neither",
	} {
		var env Environment
		require.ErrorContains(t, json.Unmarshal([]byte(text), &env), want, text)
	}
}

func TestInput(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "input.json")
	_, err := ReadInput(path)
	require.ErrorContains(t, err, "option -input")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte(`{"steps":{}}`), 0o600))
	_, err = ReadInput(path)
	require.ErrorContains(t, err, "is no execution input of a batch change: json: cannot unmarshal")
	require.NoError(t, os.WriteFile(path, []byte(`{"BatchChangeAttributes":{"name":"n","description":"d"},"branch":{"target":{"oid":"abc"}},
		"steps":[{"run":"0"},{"run":"1"},{"run":"2","mount":[{"path":"p","mountpoint":"/m"}]},{"run":"3"}],"skippedSteps":{"1":{},"3":{}}}`), 0o600))
	input, err := ReadInput(path)
	require.NoError(t, err)
	require.Equal(t, "n", input.BatchChangeAttributes.Name)
	require.Equal(t, "abc", input.Branch.Target.OID)
	require.Equal(t, []Mount{{Mountpoint: "/m", Path: "p"}}, input.Steps[2].Mount)
	require.True(t, input.HasMounts())
	require.Equal(t, 2, input.Next(0))
	require.Equal(t, 4, input.Next(2), "none is left")
	_, err = input.Step(4)
	require.EqualError(t, err, "there is no step 4: the input has 4 steps, counted from 0")
}

func TestResultVersions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Result{
		`{"stdout":"o","stepIndex":1,"diff":"plain","outputs":{"a":1},"changedFiles":{"added":["x"]}}`: {
			Stdout: "o", StepIndex: 1, Diff: []byte("plain"), Outputs: map[string]any{"a": 1.0}, ChangedFiles: Changes{Added: []string{"x"}}},
		`{"version":2,"diff":"AP8=","skipped":true,"stderr":"e"}`: {Stderr: "e", Diff: []byte{0, 255}, Skipped: true},
		`{"version":2,"skipped":true}`:                            {Skipped: true},
		`{"version":2,"diff":null}`:                               {},
	} {
		var got Result
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		require.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		`{"version":3,"diff":""}`:        "version 3 of results is unknown",
		`{"version":2,"diff":"not so"}`:  "the diff of a result of version 2",
		`{"diff":["AP8="]}`:              "the diff of a result of version 1",
		`{"version":2,"diff":"","x":"y"`: "unexpected end of JSON input",
	} {
		require.ErrorContains(t, json.Unmarshal([]byte(text), new(Result)), want, text)
	}
	written, err := json.Marshal(Result{StepIndex: 2, Diff: []byte{0, 255}})
	require.NoError(t, err)
	require.JSONEq(t, `{"version":2,"changedFiles":{"modified":[],"added":[],"deleted":[],"renamed":[]},"stdout":"","stderr":"","stepIndex":2,
		"diff":"AP8=","outputs":{},"skipped":false}`, string(written))
}

func TestPrevious(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(index int, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, ResultName(index)), []byte(text), 0o600))
	}
	none, err := Previous(dir, 3)
	require.NoError(t, err)
	require.Equal(t, Result{}, none)
	write(0, `{"stdout":"first"}`)
	write(2, `{"version":2,"skipped":true}`)
	write(3, `{"version":2,"stdout":"later"}`)
	got, err := Previous(dir, 3)
	require.NoError(t, err)
	require.Equal(t, "first", got.Stdout)
	write(1, `{`)
	_, err = Previous(dir, 3)
	require.ErrorContains(t, err, "the result of step 1 (counted from 0), step1.json in "+dir+", can't be read: unexpected end")
	require.NoError(t, os.Remove(filepath.Join(dir, "step1.json")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "step1.json")))
	_, err = Previous(dir, 3)
	require.ErrorContains(t, err, "not a regular file")
}
