package jqjson

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFormatIsThatOfJQ(t *testing.T) {
	t.Parallel()
	// The wanted texts are what jq 1.8 prints.
	for text, want := range map[string]string{
		`{}`:                               `{}`,
		`{"b":1,"a":[]}`:                   "{\n  \"b\": 1,\n  \"a\": []\n}",
		`{"a":[1,{"x":null}],"b":{}}`:      "{\n  \"a\": [\n    1,\n    {\n      \"x\": null\n    }\n  ],\n  \"b\": {}\n}",
		`{"a":true,"b":false}`:             "{\n  \"a\": true,\n  \"b\": false\n}",
		`{"n":30000000000,"m":100000.10}`:  "{\n  \"n\": 30000000000,\n  \"m\": 100000.10\n}",
		`{"s":"<&>ü\u2028\u0001\n\"\\\/"}`: "{\n  \"s\": \"<&>ü\u2028\\u0001\\n\\\"\\\\/\"\n}",
		`{"s":"\b\f\r\t\u007f"}`:           "{\n  \"s\": \"\\b\\f\\r\\t\\u007f\"\n}",
	} {
		object, err := ParseObject([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, want, string(Format(object)), text)
		again, err := ParseObject(Format(object))
		require.NoError(t, err, text)
		require.Equal(t, object, again, "what is written reads back")
	}
}

func TestParseObjectRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                   "unexpected EOF",
		`{"a":`:              "unexpected EOF",
		`{"a":1`:             "unexpected EOF",
		`[]`:                 "no JSON object",
		`"a"`:                "no JSON object",
		`{} {}`:              "follows the JSON object",
		`{"a":1,"a":2}`:      `key "a" stands twice`,
		`{"x":{"a":1,"a":2}`: `key "a" stands twice`,
		`{1:2}`:              "no JSON at byte",
		strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 100): "nested deeper than 64",
	} {
		_, err := ParseObject([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func TestKeysKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	o := Of("b", 1, "a", 2)
	o.Set("c", 3)
	o.Set("b", 4)
	require.Equal(t, []string{"b", "a", "c"}, o.Keys())
	require.Equal(t, 4, o.Get("b"))
	o.Delete("a")
	o.Delete("none")
	require.Equal(t, []string{"b", "c"}, o.Keys())
	require.Nil(t, o.Get("a"))
	o.Set("a", 5)
	require.Equal(t, []string{"b", "c", "a"}, o.Keys())
}

func TestMergeGoesIntoObjectsAndReplacesTheRest(t *testing.T) {
	t.Parallel()
	o, err := ParseObject([]byte(`{"config":{"Env":["A=b"],"Labels":{"x":"1","y":"2"}},"os":"linux","empty":null}`))
	require.NoError(t, err)
	changes, err := ParseObject([]byte(`{"created":"now","empty":{},"config":{"Cmd":null,"Env":["C=d"],"Labels":{"y":"3","z":"4"}}}`))
	require.NoError(t, err)
	o.Merge(changes)
	want := `{"config":{"Env":["C=d"],"Labels":{"x":"1","y":"3","z":"4"},"Cmd":null},"os":"linux","empty":{},"created":"now"}`
	require.Equal(t, want, strings.NewReplacer("\n", "", " ", "").Replace(string(Format(o))))
}
