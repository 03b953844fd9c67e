package spectemplate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/batches"
	"github.com/open-executor/executor/internal/fault"
)

func testContext(t *testing.T) *Context {
	t.Helper()
	var input batches.Input
	require.NoError(t, json.Unmarshal([]byte(`{"BatchChangeAttributes":{"name":"change","description":"What for"},"repository":{"name":"host/repo"},
		"branch":{"name":"main"},"path":"sub/dir","searchResultPaths":["b.go","a b.go"]}`), &input))
	return &Context{
		Input:    &input,
		Outputs:  map[string]any{"text": "hi", "tree": map[string]any{"list": []any{"x", "y"}}},
		Changes:  batches.Changes{Modified: []string{"m1", "m2"}, Added: []string{"a"}, Deleted: []string{"d"}, Renamed: []string{"r"}},
		Previous: Outcome{Changes: batches.Changes{Modified: []string{"p1", "p2"}}, Stdout: "out", Stderr: "err"},
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	c := testContext(t)
	for text, want := range map[string]string{
		"":                                       "",
		"no template, {{ not even this }} or $x": "no template, {{ not even this }} or $x",
		"${{ repository.name }}@${{ repository.branch }}":                           "host/repo@main",
		"${{ repository.search_result_paths }}":                                     "a b.go b.go",
		`${{ join repository.search_result_paths "|" }}`:                            "a b.go|b.go",
		"${{ range $i, $f := repository.search_result_paths }}${{ $f }};${{ end }}": "a b.go;b.go;",
		"${{ batch_change.name }}: ${{ batch_change.description }}":                 "change: What for",
		`${{ join previous_step.modified_files " " }}`:                              "p1 p2",
		"${{ previous_step.stdout }}${{ previous_step.stderr }}":                    "outerr",
		`${{ join steps.modified_files "," }} ${{ index steps.added_files 0 }}`:     "m1,m2 a",
		"${{ steps.deleted_files }}${{ steps.renamed_files }} ${{ steps.path }}":    "[d][r] sub/dir",
		"[${{ step.stdout }}${{ step.modified_files }}]":                            "[[]]",
		"${{ outputs.text }} ${{ index outputs.tree.list 1 }}":                      "hi y",
		`${{ join (split "a-b-c" "-") "+" }} ${{ replace "aXbX" "X" "_" }}`:         "a+b+c a_b_",
		`${{ join_if "-" "" "a" "" "b" }}`:                                          "a-b",
		`${{ matches repository.name "host/*" }}`:                                   "true",
		`${{ if eq repository.name "host/repo" }}yes${{ else }}no${{ end }}`:        "yes",
	} {
		got, err := c.Render("run", text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestRenderErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"${{ unknown }}":              `run is no template of a batch spec: template: run:1: function "unknown" not defined`,
		"${{ repository.name":         "unclosed action",
		`${{ matches "a" "[a" }}`:     `the glob "[a": a [ is never closed`,
		`${{ matches "a" "{a" }}`:     `a { is never closed`,
		`${{ matches "a" "a\\" }}`:    `has nothing behind it`,
		`${{ matches "a" "[b-a]" }}`:  `invalid character class range`,
		`${{ printf "%67108865d" 1}}`: `run can't be rendered: it makes more than 64 MiB`,
	} {
		if strings.Contains(text, "printf") {
			text = strings.Repeat(`${{ printf "%1000000d" 1 }}`, 68)
		}
		_, err := testContext(t).Render("run", text)
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.User, fault.ClassOf(err), want)
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		condition any
		want      bool
	}{
		{nil, true}, {"", true}, {true, true}, {false, false}, {"true", true}, {" true\n", true}, {"false", false}, {"yes", false},
		{`${{ eq repository.branch "main" }}`, true}, {`${{ not (eq repository.branch "main") }}`, false}, {"${{ outputs.absent }}", false},
	} {
		got, err := testContext(t).Holds(test.condition)
		require.NoError(t, err)
		require.Equal(t, test.want, got, test.condition)
	}
	_, err := testContext(t).Holds(1.5)
	require.EqualError(t, err, "if is 1.5, neither true, false nor a text")
	_, err = testContext(t).Holds("${{")
	require.ErrorContains(t, err, "if is no template")
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, glob string
		want       bool
	}{
		{"a/b/c.go", "*.go", true}, {"a/b/c.go", "**.go", true}, {"a/b/c.go", "a/?/c.go", true}, {"a", "", false}, {"", "", true},
		{"a.go", "a.g", false}, {"axgo", "a.go", false}, {"line\nbreak", "line*", true}, {"b", "[abc]", true}, {"d", "[abc]", false},
		{"d", "[!abc]", true}, {"q", "[a-z]", true}, {"-", "[a-]", true}, {"]", "[]a]", true}, {"^", "[^]", true}, {"é", "?", true},
		{"cat", "{cat,d?g}", true}, {"dog", "{cat,d?g}", true}, {"cow", "{cat,d?g}", false}, {"a,b", "a,b", true}, {"a}", "a}", true},
		{"*", `\*`, true}, {"x", `\*`, false}, {"github.com/o/r", "github.com/{o,p}/*", true}, {"x", "(x)", false}, {"ab", "{a,{b,ab}}", true},
	} {
		got, err := matches(test.text, test.glob)
		require.NoError(t, err, test.glob)
		require.Equal(t, test.want, got, "%q %q", test.text, test.glob)
	}
}

// A text matches its own glob when every character is taken as it is, and any glob either matches, doesn't, or has an error that tells.
func TestMatchesAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var glob strings.Builder
		for _, r := range text {
			glob.WriteRune('\\')
			glob.WriteRune(r)
		}
		got, err := matches(text, glob.String())
		if err != nil || !got {
			t.Fatalf("%q doesn't match itself: %v", text, err)
		}
		if _, err := matches(text, rapid.String().Draw(t, "glob")); err != nil && !strings.HasPrefix(err.Error(), "the glob ") {
			t.Fatal(err)
		}
	})
}
