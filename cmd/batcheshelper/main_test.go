package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	t.Parallel()
	plain := arguments{mode: "pre", step: 0, input: "input.json", workspaceFiles: "workspace-files"}
	all := arguments{mode: "post", step: 12, input: "in", previousDir: "-p", workspaceFiles: "/job/w=f"}
	for line, want := range map[string]arguments{
		"pre 0": plain,
		"post 12 -input in -previousStepPath -p -workspaceFiles /job/w=f":    all,
		"-input in post -previousStepPath=-p 12 --workspaceFiles=/job/w=f":   all,
		"--input=in --previousStepPath -p -workspaceFiles /job/w=f post 012": all,
		"pre 0 -previousStepPath=": plain,
		"pre -h":                   {help: true},
		"--help":                   {help: true},
	} {
		got, err := parse(strings.Fields(line))
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
	}
	for line, want := range map[string]string{
		"":                               "missing arguments: want pre or post and a step, got []",
		"pre":                            `missing arguments: want pre or post and a step, got ["pre"]`,
		"pre 0 1":                        "too many arguments",
		"run 0":                          `invalid mode "run": want pre or post`,
		"pre x":                          `failed to parse step: strconv.ParseUint: parsing "x": invalid syntax`,
		"pre 99999999999":                "failed to parse step: ",
		"pre 0 -input":                   "option -input has no value: write -input VALUE or -input=VALUE",
		"pre -workspaceFiles":            "option -workspaceFiles has no value",
		"pre 0 -input=":                  "option -input has an empty value",
		"pre 0 -workspaceFiles=":         "option -workspaceFiles has an empty value",
		"pre -1":                         `there is no option "-1": see batcheshelper -help`,
		"pre 0 -":                        `there is no option "-"`,
		"pre 0 -unknown=x":               `there is no option "-unknown=x"`,
		"-previousStepPath pre post 0 1": "too many arguments",
	} {
		_, err := parse(strings.Fields(line))
		require.ErrorContains(t, err, want, line)
	}
}

// Options mean the same wherever they stand, and no words make the parser fall over.
func TestOptionsStandAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := arguments{
			mode:  rapid.SampledFrom([]string{"pre", "post"}).Draw(t, "mode"),
			step:  rapid.IntRange(0, 1<<31-1).Draw(t, "step"),
			input: rapid.StringN(1, 10, -1).Draw(t, "input"), previousDir: rapid.String().Draw(t, "previous"),
			workspaceFiles: rapid.StringN(1, 10, -1).Draw(t, "files"),
		}
		groups := [][]string{{want.mode}, {strconv.Itoa(want.step)}}
		for name, value := range map[string]string{"input": want.input, "previousStepPath": want.previousDir, "workspaceFiles": want.workspaceFiles} {
			group := []string{"-" + name, value}
			if rapid.Bool().Draw(t, "inline "+name) {
				group = []string{"--" + name + "=" + value}
			}
			groups = slices.Insert(groups, rapid.IntRange(0, len(groups)).Draw(t, "place of "+name), group)
		}
		got, err := parse(slices.Concat(groups...))
		if err != nil || got != want {
			t.Fatalf("%q: %+v, %v", groups, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("pre\x000\x00-input")
	f.Add("-\x00--\x00-=\x00-input=")
	f.Fuzz(func(t *testing.T, words string) {
		args, err := parse(strings.Split(words, "\x00"))
		if err == nil && !args.help {
			require.Contains(t, []string{"pre", "post"}, args.mode)
			require.GreaterOrEqual(t, args.step, 0)
			require.NotEmpty(t, args.input)
		}
	})
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile("input.json", []byte(`{"steps":[{"run":"echo hi","env":["TAKEN"]}]}`), 0o600))
	call := func(safe string, words ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), words, func(string) string { return safe }, []string{"TAKEN=1"}, &out)
		return out.String(), err
	}
	out, err := call("", "pre", "0")
	require.NoError(t, err)
	require.Contains(t, out, `"operation":"TASK_STEP"`)
	script, err := os.ReadFile(filepath.Join(dir, "step0.sh"))
	require.NoError(t, err)
	require.Equal(t, "export TAKEN=1\necho hi", string(script))

	out, err = call("", "-help")
	require.NoError(t, err)
	require.Equal(t, usage, out)
	_, err = call("false", "post", "0")
	require.ErrorContains(t, err, "the repository is looked for in ")
	_, err = call("maybe", "post", "0")
	require.EqualError(t, err, `EXECUTOR_ADD_SAFE is "maybe": want true or false`)
	_, err = call("", "pre")
	require.ErrorContains(t, err, "missing arguments")
}
