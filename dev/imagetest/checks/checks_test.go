package checks

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/imagetest/schema"
)

func TestOrderAndNamesAreThoseOfTheRealTool(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{files: map[string]File{"/a": fileOf("", 0o644), "/b": fileOf("", 0o644)}}
	results := check(t, e, `
metadataTest: {user: ""  , cmd: []}
fileExistenceTests: [{name: there, path: /a}]
fileContentTests: [{name: inside, path: /b}]
commandTests: [{name: one, command: x}, {name: two, command: y}]
`)
	var names []string
	for _, result := range results {
		require.Empty(t, result.Failures, result.Name)
		names = append(names, result.Name)
	}
	require.Equal(t, []string{"Command Test: one", "Command Test: two", "File Content Test: inside", "File Existence Test: there", "Metadata Test"}, names)
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome Outcome
		members string
		want    []string
	}{
		"passes":          {Outcome{0, "version 1.2\n", "warning\n"}, `expectedOutput: ["^version [0-9.]+\n$"], excludedOutput: [panic], expectedError: [warn], excludedError: [panic]`, nil},
		"exit code":       {Outcome{2, "so", "no"}, `exitCode: 1`, []string{`exit code is 2, want 1; stdout: "so"; stderr: "no"`}},
		"missing output":  {Outcome{0, "a", ""}, `expectedOutput: [a, b, c]`, []string{`stdout has nothing that matches "b": "a"`, `stdout has nothing that matches "c": "a"`}},
		"excluded output": {Outcome{0, "a", ""}, `excludedOutput: [a, b]`, []string{`stdout has something that matches "a": "a"`}},
		"missing error":   {Outcome{0, "a", "b"}, `expectedError: [a]`, []string{`stderr has nothing that matches "a": "b"`}},
		"excluded error":  {Outcome{0, "a", "b"}, `excludedError: [b]`, []string{`stderr has something that matches "b": "b"`}},
		"lines":           {Outcome{0, "a\nb\n", ""}, `expectedOutput: ["^b"]`, []string{`stdout has nothing that matches "^b": "a\nb\n"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := one(t, &fakeEngine{outcome: c.outcome}, "commandTests: [{name: a, command: b, "+c.members+"}]\n")
			require.Equal(t, c.want, got)
		})
	}
}

func TestLongOutputIsCutInMessages(t *testing.T) {
	t.Parallel()
	got := one(t, &fakeEngine{outcome: Outcome{Stdout: strings.Repeat("é", 10_000)}}, "commandTests: [{name: a, command: b, expectedOutput: [x]}]\n")
	require.Len(t, got, 1)
	require.Contains(t, got[0], "(20000 bytes)")
	require.Less(t, len(got[0]), 700)
}

func TestVariablesOfCommands(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{config: Config{Env: map[string]string{"PATH": "/bin", "A": "image"}}}
	require.Empty(t, one(t, e, `
globalEnvVars: [{key: PATH, value: "$PATH:/x"}, {key: B, value: "${A}-$NONE"}]
commandTests: [{name: a, command: $A/run, args: ["$PATH", "$B", "$C", "-$NONE-"], envVars: [{key: C, value: "$A"}]}]
`))
	require.Equal(t, []Run{{
		Image:   "image",
		Command: []string{"image/run", "/bin:/x", "image-", "", "--"},
		Env:     []string{"PATH=/bin:/x", "B=image-", "C=$A"},
	}}, e.runs)
}

func TestSetupCommandsRunOneAfterAnother(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{config: Config{Env: map[string]string{"PATH": "/bin"}}, outcome: Outcome{ExitCode: 7}}
	results := check(t, e, `
globalEnvVars: [{key: PATH, value: "$PATH:/x"}]
commandTests: [{name: a, setup: [[mkdir, $D], [touch, b]], teardown: [[rm, b]], command: ls, args: [$D], exitCode: 7, envVars: [{key: D, value: "$PATH/d"}]}]
`)
	require.Empty(t, results[0].Failures)
	require.Equal(t, []string{`setup command "mkdir $D" has exit code 7`, `setup command "touch b" has exit code 7`}, results[0].Notes)
	require.Equal(t, []Run{
		{Image: "image", Command: []string{"mkdir", "$D"}, Env: []string{"PATH=/bin:/x", "D=/bin:/x/d"}},
		{Image: "image+1", Command: []string{"touch", "b"}, Env: []string{"D=/bin:/x/d"}},
	}, e.snapshots)
	require.Equal(t, []Run{{Image: "image+2", Command: []string{"ls", e.baked["D"]}, Env: []string{"D=$PATH/d"}}}, e.runs)
}

func TestRunOptionsReachTheContainer(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{}
	require.Empty(t, one(t, e, `
containerRunOptions: {user: "1000", envVars: [HOME]}
commandTests: [{name: a, command: b}]
`))
	require.Equal(t, []Run{{
		Image: "image", Command: []string{"b"}, Env: []string{"HOME=/root"}, Options: schema.RunOptions{User: "1000", PassEnv: []string{"HOME"}},
	}}, e.runs)

	require.Equal(t, []string{"containerRunOptions pass on NONE, which is not set"}, one(t, e, `
containerRunOptions: {envVars: [HOME, NONE]}
commandTests: [{name: a, command: b}]
`))
	require.Len(t, e.runs, 1)
}

func TestExistence(t *testing.T) {
	t.Parallel()
	program := fileOf("", 0o750)
	program.UID, program.GID = 10, 20
	for name, c := range map[string]struct {
		members string
		want    []string
	}{
		"there":            {`path: /program, permissions: -rwxr-x---, uid: 10, gid: 20, isExecutableBy: owner`, nil},
		"not there":        {`path: /none`, []string{"/none doesn't exist"}},
		"rightly absent":   {`path: /none, shouldExist: false`, nil},
		"wrongly there":    {`path: /program, shouldExist: false, permissions: "?"`, []string{"/program exists and should not"}},
		"variable":         {`path: $DIR/program`, []string{"/opt/program doesn't exist"}},
		"unknown variable": {`path: $NONE/program`, nil},
		"permissions":      {`path: /program, permissions: -rwxr-xr-x`, []string{"/program has permissions -rwxr-x---, want -rwxr-xr-x"}},
		"user":             {`path: /program, uid: 0`, []string{"/program belongs to user 10, want 0"}},
		"group":            {`path: /program, gid: 0`, []string{"/program belongs to group 20, want 0"}},
		"any":              {`path: /program, isExecutableBy: any`, nil},
		"group may":        {`path: /program, isExecutableBy: group`, nil},
		"others may not":   {`path: /program, isExecutableBy: other`, []string{"/program is not executable by other: its permissions are -rwxr-x---"}},
		"nobody may":       {`path: /text, isExecutableBy: any`, []string{"/text is not executable by any: its permissions are -rw-r--r--"}},
		"directory":        {`path: /tmp, permissions: dtrwxrwxrwx`, nil},
		"link itself":      {`path: /link, permissions: Lrwxrwxrwx`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &fakeEngine{
				config: Config{Env: map[string]string{"DIR": "/opt"}},
				files:  map[string]File{"/program": program, "/text": fileOf("", 0o644), "/tmp": fileOf("", os.ModeDir|os.ModeSticky|0o777), "/link": linkTo("/none")},
			}
			require.Equal(t, c.want, one(t, e, "fileExistenceTests: [{name: a, "+c.members+"}]\n"))
		})
	}
}

func TestContents(t *testing.T) {
	t.Parallel()
	huge := fileOf("", 0o644)
	huge.Size = maxContent + 1
	for name, c := range map[string]struct {
		members string
		want    []string
	}{
		"passes":        {`path: /text, expectedContents: ["^hello$"], excludedContents: [bye]`, nil},
		"missing":       {`path: /text, expectedContents: [bye]`, []string{`/text has nothing that matches "bye": "hello"`}},
		"excluded":      {`path: /text, excludedContents: [hell]`, []string{`/text has something that matches "hell": "hello"`}},
		"link":          {`path: /link, expectedContents: [hello]`, nil},
		"relative link": {`path: /dir/link, expectedContents: [hello]`, nil},
		"link to none":  {`path: /broken`, []string{"/none, to which /broken leads, doesn't exist"}},
		"circle":        {`path: /circle`, []string{"/circle: more than 40 links in a row"}},
		"not there":     {`path: /none`, []string{"/none doesn't exist"}},
		"directory":     {`path: /dir`, []string{"/dir is no file: its mode is drwxr-xr-x"}},
		"huge":          {`path: /huge`, []string{"/huge has 16777217 bytes, more than the 16777216 that are looked into"}},
		"no variables":  {`path: $DIR/text`, []string{"$DIR/text doesn't exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &fakeEngine{
				config: Config{Env: map[string]string{"DIR": ""}},
				files: map[string]File{
					"/text": fileOf("hello", 0o644), "/link": linkTo("/text"), "/dir/link": linkTo("../text"), "/broken": linkTo("/none"),
					"/circle": linkTo("circle"), "/dir": fileOf("", os.ModeDir|0o755), "/huge": huge,
				},
			}
			require.Equal(t, c.want, one(t, e, "fileContentTests: [{name: a, "+c.members+"}]\n"))
		})
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	for members, want := range map[string][]string{
		`envVars: [{key: A, value: b}, {key: A, value: "^b$", isRegex: true}, {key: E}]`: nil,
		`envVars: [{key: A, value: c}]`:                         {`environment variable A is "b", want "c"`},
		`envVars: [{key: A, value: "^c", isRegex: true}]`:       {`environment variable A is "b", which "^c" doesn't match`},
		`envVars: [{key: A, value: ".*"}, {key: Z, value: ""}]`: {`environment variable A is "b", want ".*"`, "environment variable Z is not there"},
		`unboundEnvVars: [{key: A}, {key: Z}]`:                  {`environment variable A is "b" and should not be there`},
		`labels: [{key: title, value: executor}, {key: none}]`:  {"label none is not there"},
		`exposedPorts: [80, 81]`:                                {"port 81 is not there; there are: 80, 90"},
		`unexposedPorts: [80, 81]`:                              {"port 80 is there and should not be"},
		`volumes: [/data, /x], unmountedVolumes: [/data]`:       {"volume /x is not there; there are: /data", "volume /data is there and should not be"},
		`entrypoint: [/tini, --, /executor], cmd: []`:           nil,
		`entrypoint: [/executor]`:                               {`entrypoint is ["/tini" "--" "/executor"], want ["/executor"]`},
		`entrypoint: []`:                                        {`entrypoint is ["/tini" "--" "/executor"], want []`},
		`cmd: [run]`:                                            {`cmd is [], want ["run"]`},
		`workdir: /home, user: "1000:1000"`:                     nil,
		`workdir: /, user: root`:                                {`workdir is "/home", want "/"`, `user is "1000:1000", want "root"`},
	} {
		t.Run(members, func(t *testing.T) {
			t.Parallel()
			e := &fakeEngine{config: Config{
				Env: map[string]string{"A": "b", "E": ""}, Labels: map[string]string{"title": "executor"}, Ports: []string{"90", "80"},
				Volumes: []string{"/data"}, Entrypoint: []string{"/tini", "--", "/executor"}, User: "1000:1000", Workdir: "/home",
			}}
			require.Equal(t, want, one(t, e, "metadataTest: {"+members+"}\n"))
		})
	}
}

// Only a file that isn't there is a file that should not be there.
func TestErrorsOfTheEngineFailEveryTest(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{err: errors.New("engine is gone")}
	results := check(t, e, `
metadataTest: {user: x}
fileExistenceTests: [{name: a, path: /a, shouldExist: false}]
fileContentTests: [{name: a, path: /b}]
commandTests: [{name: a, command: x}, {name: b, setup: [[y]], command: x}]
`)
	require.Len(t, results, 5)
	for _, result := range results {
		require.Equal(t, []string{"engine is gone"}, result.Failures, result.Name)
	}
}

func TestATestThatHangsFailsAndTheNextRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &fakeEngine{hang: true, files: map[string]File{"/a": fileOf("", 0o644)}}
		results := check(t, e, "commandTests: [{name: a, command: sleep}]\nfileExistenceTests: [{name: a, path: /a}]\n")
		require.Len(t, results, 2)
		require.Equal(t, []string{"it took longer than 1m0s"}, results[0].Failures)
		require.Equal(t, time.Minute, results[0].Duration)
		require.Empty(t, results[1].Failures)
	})
}

func TestTheRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f, err := schema.Parse("x.yaml", []byte("schemaVersion: 2.0.0\ncommandTests: [{name: a, command: x}, {name: b, command: x}]\n"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by hand")
	e := &fakeEngine{}
	runner := Runner{Engine: e, Image: "image", Limit: time.Minute}
	told := 0
	err = runner.RunFile(ctx, f, func(Result) { told++; cancel(stopped) })
	require.ErrorIs(t, err, stopped)
	require.Equal(t, 1, told)
	require.Len(t, e.runs, 1)

	e.hang = true
	ctx, cancel = context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- runner.RunFile(ctx, f, func(Result) { t.Error("a test that was stopped has no result") })
	}()
	cancel(stopped)
	require.ErrorIs(t, <-done, stopped)
}
