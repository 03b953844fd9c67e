package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const head = "schemaVersion: 2.0.0\n"

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":           {"", []string{"x.yaml:1:1: the file is empty"}},
		"a comment":         {"# only this\n", []string{"x.yaml:1:1: the file is empty"}},
		"no YAML":           {"a: b\n  c: d\n", []string{"x.yaml:2:1: no YAML: "}},
		"tabs":              {"a:\n\tb: c\n", []string{"x.yaml:2:1: no YAML: "}},
		"two documents":     {head + "---\n" + head, []string{"x.yaml:2:1: a second document begins"}},
		"a list":            {"- a\n", []string{"x.yaml:1:1: a file of tests wants a mapping, got a list"}},
		"no test":           {head, []string{"x.yaml:1:1: there is no test in it"}},
		"empty lists":       {head + "commandTests: []\nmetadataTest: {}\n", []string{"x.yaml:1:1: there is no test in it"}},
		"no version":        {"commandTests: [{name: a, command: b}]\n", []string{`x.yaml:1:1: schemaVersion is missing`}},
		"older version":     {"schemaVersion: '1.0.0'\n", []string{`x.yaml:1:16: schemaVersion is "1.0.0": "2.0.0" is what can be read`}},
		"version by number": {"schemaVersion: 2\n", []string{`x.yaml:1:16: schemaVersion is "2"`}},
		"unknown member": {
			head + "commandTest:\n- name: a\n",
			[]string{`x.yaml:2:1: a file of tests has no member "commandTest"; it has commandTests, containerRunOptions, fileContentTests`},
		},
		"unknown members deep down": {
			head + "commandTests:\n- name: a\n  comand: b\n  exitcode: 1\n  command: c\nmetadataTest:\n  workDir: /\n  envVars:\n  - {key: A, regex: true}\n",
			[]string{
				`x.yaml:4:3: a command test has no member "comand"`, `x.yaml:5:3: a command test has no member "exitcode"`,
				`x.yaml:8:3: metadataTest has no member "workDir"`, `x.yaml:10:14: a member of envVars has no member "regex"`,
			},
		},
		"member twice":     {head + "commandTests:\n- name: a\n  command: b\n  name: c\n", []string{"x.yaml:5:3: name stands here twice: first on line 3"}},
		"merge key":        {head + "x: &x {name: a}\ncommandTests:\n- <<: *x\n  command: b\n", []string{`x.yaml:4:3: a command test: the name of a member wants plain text, got "<<"`}},
		"text for a list":  {head + "commandTests:\n- {name: a, command: b, args: c}\n", []string{`x.yaml:3:31: args wants a list, got "c"`}},
		"list for a text":  {head + "commandTests:\n- {name: a, command: [b]}\n", []string{"x.yaml:3:22: command wants text, got a list", "x.yaml:3:3: a command test needs a command"}},
		"text for a test":  {head + "commandTests: [a]\n", []string{`x.yaml:2:16: a command test wants a mapping, got "a"`}},
		"quoted number":    {head + "commandTests:\n- {name: a, command: b, exitCode: '1'}\n", []string{`x.yaml:3:35: exitCode wants a whole number without quotes, got "1"`}},
		"fraction":         {head + "commandTests:\n- {name: a, command: b, exitCode: 1.5}\n", []string{"x.yaml:3:35: exitCode wants a whole number"}},
		"quoted boolean":   {head + "fileExistenceTests:\n- {name: a, path: /b, shouldExist: 'false'}\n", []string{"x.yaml:3:36: shouldExist wants true or false without quotes"}},
		"quoted yes":       {head + "fileExistenceTests:\n- {name: a, path: /b, shouldExist: \"yes\"}\n", []string{`x.yaml:3:36: shouldExist wants true or false without quotes, got "yes"`}},
		"no name":          {head + "fileContentTests:\n- path: /b\n", []string{"x.yaml:3:3: a file content test needs a name"}},
		"no path":          {head + "fileExistenceTests:\n- name: b\n", []string{"x.yaml:3:3: a file existence test needs a path"}},
		"bad pattern":      {head + "commandTests:\n- {name: a, command: b, expectedOutput: ['(']}\n", []string{`x.yaml:3:42: expectedOutput: "(" is no regular expression: `}},
		"bad regex value":  {head + "metadataTest: {labels: [{key: a, value: '[', isRegex: true}]}\n", []string{`x.yaml:2:25: labels: "[" is no regular expression`}},
		"empty setup":      {head + "commandTests:\n- {name: a, command: b, setup: [[]]}\n", []string{"x.yaml:3:33: setup: a command has at least one word"}},
		"variable unset":   {head + "commandTests:\n- {name: a, command: b, envVars: [{key: C}]}\n", []string{"x.yaml:3:35: a member of envVars needs a value"}},
		"executable":       {head + "fileExistenceTests:\n- {name: a, path: /b, isExecutableBy: all}\n", []string{`x.yaml:3:39: isExecutableBy is "all": it may be any, owner, group or other`}},
		"port of protocol": {head + "metadataTest: {exposedPorts: [80/tcp], unexposedPorts: ['']}\n", []string{`x.yaml:2:31: exposedPorts: "80/tcp" is no port`, `x.yaml:2:57: unexposedPorts: "" is no port`}},
		"empty volume":     {head + "metadataTest: {volumes: ['']}\n", []string{"x.yaml:2:25: volumes has an empty member"}},
		"licenses":         {head + "licenseTests: [{debian: true}]\n", []string{"x.yaml:2:15: licenseTests are not supported"}},
		"file of env":      {head + "containerRunOptions: {envFile: a}\n", []string{"x.yaml:2:32: envFile is not supported"}},
		"terminal":         {head + "containerRunOptions: {allocateTty: true}\n", []string{"x.yaml:2:36: allocateTty is not supported"}},
		"capabilities":     {head + "containerRunOptions: {capabilities: [NET_ADMIN]}\n", []string{"x.yaml:2:37: capabilities are not supported"}},
		"options and variables": {
			head + "containerRunOptions: {user: a}\ncommandTests:\n- {name: a, command: b, envVars: [{key: C, value: d}]}\n",
			[]string{"x.yaml:2:22: containerRunOptions and the envVars of a command test don't go together"},
		},
		"binary": {head + "commandTests:\n- {name: a, command: !!binary aGk=}\n", []string{"x.yaml:3:22: command wants text"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("x.yaml", []byte(c.text))
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestLongValuesAreCutInErrors(t *testing.T) {
	t.Parallel()
	_, err := Parse("x.yaml", []byte(head+"commandTests: "+strings.Repeat("ü", 1000)+"\n"))
	require.ErrorContains(t, err, "commandTests wants a list")
	require.Less(t, len(err.Error()), 200)
}

func TestSizesAreBounded(t *testing.T) {
	t.Parallel()
	_, err := Parse("x.yaml", make([]byte, maxBytes+1))
	require.ErrorContains(t, err, "more than 1048576 bytes")

	// Nine lists, each of ten of the one before: a billion values in a few lines.
	var bomb strings.Builder
	bomb.WriteString(head + "commandTests:\n- name: a\n  command: b\n")
	for i := range 9 {
		item := "x"
		if i > 0 {
			item = fmt.Sprintf("*a%d", i-1)
		}
		fmt.Fprintf(&bomb, "  args%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(item+", ", 10), ", "))
	}
	bomb.WriteString("  setup: *a8\n")
	_, err = Parse("x.yaml", []byte(bomb.String()))
	require.Error(t, err)
	require.Less(t, len(err.Error()), 10_000)

	flat := head + "commandTests:\n- name: a\n  command: b\n  args: &a [" + strings.Repeat("x,", 1000) + "]\n"
	var many strings.Builder
	many.WriteString(flat)
	for i := range 200 {
		fmt.Fprintf(&many, "- {name: n%d, command: b, args: *a}\n", i)
	}
	_, err = Parse("x.yaml", []byte(many.String()))
	require.ErrorContains(t, err, "more than 100000 values once aliases are expanded")
}
