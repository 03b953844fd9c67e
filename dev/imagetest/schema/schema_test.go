package schema

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

const everything = `
schemaVersion: 2.0.0
globalEnvVars:
  - {key: A, value: $PATH/b}
containerRunOptions:
  user: "1000"
  privileged: no
  envVars: [HOME]
  bindMounts: ["/a:/b:ro"]
commandTests:
  - name: version
    setup: [[mkdir, /x], [touch, /x/y]]
    teardown: [[rm, /x]]
    command: executor
    args: [--version, 1]
    exitCode: 3
    expectedOutput: ["^executor .*"]
    excludedOutput: [error]
    expectedError: [warning]
    excludedError: [panic]
fileExistenceTests:
  - name: program
    path: /executor
    permissions: -rwxr-xr-x
    uid: 0
    gid: 0
    isExecutableBy: any
  - {name: none, path: /bin/sh, shouldExist: false}
fileContentTests:
  - name: os
    path: /etc/os-release
    expectedContents: ["ID=debian"]
    excludedContents: ["ID=ubuntu"]
metadataTest:
  envVars: [{key: PATH, value: "^/usr", isRegex: true}, {key: EMPTY}]
  unboundEnvVars: [{key: SECRET}]
  labels: [{key: title, value: executor}]
  exposedPorts: [8080, "90"]
  unexposedPorts: ["22"]
  volumes: [/data]
  unmountedVolumes: [/srv]
  entrypoint: [/executor]
  cmd: []
  workdir: /home
  user: "1000:1000"
`

func TestEverythingIsRead(t *testing.T) {
	t.Parallel()
	got, err := Parse("all.yaml", []byte(everything))
	require.NoError(t, err)
	p := func(text string) []Pattern { return []Pattern{{regexp.MustCompile(text)}} }
	require.Equal(t, &File{
		GlobalEnv:  []Variable{{Key: "A", Value: "$PATH/b"}},
		RunOptions: RunOptions{User: "1000", PassEnv: []string{"HOME"}, Binds: []string{"/a:/b:ro"}},
		Commands: []Command{{
			Name: "version", Setup: [][]string{{"mkdir", "/x"}, {"touch", "/x/y"}}, Command: "executor", Args: []string{"--version", "1"}, ExitCode: 3,
			ExpectedOutput: p("^executor .*"), ExcludedOutput: p("error"), ExpectedError: p("warning"), ExcludedError: p("panic"),
		}},
		Existences: []Existence{
			{Name: "program", Path: "/executor", ShouldExist: true, Permissions: "-rwxr-xr-x", ExecutableBy: "any"},
			{Name: "none", Path: "/bin/sh", UID: -1, GID: -1},
		},
		Contents: []Content{{Name: "os", Path: "/etc/os-release", Expected: p("ID=debian"), Excluded: p("ID=ubuntu")}},
		Metadata: &Metadata{
			Env:        []Variable{{Key: "PATH", Value: "^/usr", Pattern: regexp.MustCompile("^/usr")}, {Key: "EMPTY"}},
			UnboundEnv: []string{"SECRET"}, Labels: []Variable{{Key: "title", Value: "executor"}},
			ExposedPorts: []string{"8080", "90"}, UnexposedPorts: []string{"22"}, Volumes: []string{"/data"}, UnmountedVolumes: []string{"/srv"},
			Entrypoint: &[]string{"/executor"}, Cmd: &[]string{}, Workdir: "/home", User: "1000:1000",
		},
	}, got)
	require.Equal(t, 5, got.Tests())
}

func TestWhatIsNotGivenSaysNothing(t *testing.T) {
	t.Parallel()
	got, err := Parse("x.yaml", []byte("schemaVersion: '2.0.0'\nglobalEnvVars:\ncommandTests: [{name: a, command: b, args: , exitCode: }]\nmetadataTest: {cmd: , entrypoint: ~}\n"))
	require.NoError(t, err)
	require.Equal(t, &File{Commands: []Command{{Name: "a", Command: "b"}}}, got)
}

func TestAliases(t *testing.T) {
	t.Parallel()
	got, err := Parse("x.yaml", []byte("schemaVersion: 2.0.0\ncommandTests:\n- {name: a, command: b, args: &args [c, d]}\n- {name: e, command: f, args: *args}\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"c", "d"}, got.Commands[1].Args)
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"image_test.yaml", "image_test.yml", "image_test.json"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(everything), 0o600))
	}
	got, err := ReadFile(filepath.Join(dir, "image_test.yaml"))
	require.NoError(t, err)
	require.Equal(t, 5, got.Tests())
	_, err = ReadFile(filepath.Join(dir, "image_test.yml"))
	require.NoError(t, err)
	_, err = ReadFile(filepath.Join(dir, "image_test.json"))
	require.ErrorContains(t, err, "ends in .yaml or .yml")
	_, err = ReadFile(filepath.Join(dir, "none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
