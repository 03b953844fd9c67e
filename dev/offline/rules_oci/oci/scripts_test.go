package oci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.starlark.net/starlark"
)

// tool and the programs on the PATH print their words, and what they are given.
const tool = "#!/bin/sh\nprintf '%s' \"$(basename \"$0\")\"; printf ' [%s]' \"$@\"; echo; [ \"$1\" != load ] || cat\n"

// installed writes a script and its runfiles and returns the script's path and where its runfiles are.
func installed(t *testing.T, script string) (path, runfiles string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	path = filepath.Join(dir, "target.sh")
	runfiles = path + ".runfiles"
	write(t, path, script)
	write(t, filepath.Join(runfiles, "_main", "tool"), tool)
	return path, runfiles
}

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o755))
}

// start runs a script with programs on its PATH and returns what it printed.
func start(t *testing.T, path string, programs []string, env []string, args ...string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	for _, program := range programs {
		write(t, filepath.Join(bin, program), tool)
	}
	for _, needed := range []string{"bash", "sh", "env", "basename", "cat"} {
		at, err := exec.LookPath(needed)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(at, filepath.Join(bin, needed)))
	}
	command := exec.CommandContext(t.Context(), path, args...)
	command.Env = append([]string{"PATH=" + bin}, env...)
	out, err := command.CombinedOutput()
	return string(out), err
}

func loadScript(t *testing.T, more map[string]starlark.Value) string {
	t.Helper()
	attributes := map[string]starlark.Value{
		"format": starlark.String("docker"), "image": fakeFile("im'age"), "repo_tags": starlark.None, "words": list(starlark.String("a:b")), "loader": starlark.None,
	}
	for name, value := range more {
		attributes[name] = value
	}
	b := &bazel{}
	require.NoError(t, b.implement(t, "private/load.bzl", "load_rule", b.ctx(attributes)))
	require.Equal(t, [][]string{{
		"tarball", "--target=//pkg:target", "--layout=bin/im'age", "--tags-file=bin/target.repo_tags.txt", "--out=bin/target/tarball.tar",
	}}, b.runs)
	require.Equal(t, "a:b\n", b.written["bin/target.repo_tags.txt"])
	return b.written["bin/target.sh"]
}

func TestLoadingTakesTheFirstEngineThereIs(t *testing.T) {
	t.Parallel()
	path, runfiles := installed(t, loadScript(t, nil))
	words := "tool [tarball] [--target=//pkg:target] [--layout=" + runfiles + "/_main/im'age] [--tags-file=" + runfiles + "/_main/target.repo_tags.txt]\n"
	for _, programs := range [][]string{{"docker", "podman", "nerdctl"}, {"podman", "nerdctl"}, {"nerdctl"}} {
		out, err := start(t, path, programs, nil)
		require.NoError(t, err, out)
		require.Equal(t, programs[0]+" [load]\n"+words, out, "the engine is given what the tool prints")
	}
	out, err := start(t, path, nil, nil)
	require.Error(t, err)
	require.Contains(t, out, "neither docker nor podman nor nerdctl is on the PATH")
}

func TestLoadingFailsWithItsTool(t *testing.T) {
	t.Parallel()
	path, runfiles := installed(t, loadScript(t, nil))
	write(t, filepath.Join(runfiles, "_main", "tool"), "#!/bin/sh\necho broken >&2; exit 3\n")
	out, err := start(t, path, []string{"docker"}, nil)
	var failed *exec.ExitError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 3, failed.ExitCode())
	require.Contains(t, out, "broken")
}

func pushScript(t *testing.T, more map[string]starlark.Value) (string, error) {
	t.Helper()
	attributes := map[string]starlark.Value{
		"image": fakeFile("../other/image"), "remote_tags": fakeFile("tags.txt"), "words": list(), "repository": starlark.String(""), "repository_file": starlark.None,
	}
	for name, value := range more {
		attributes[name] = value
	}
	b := &bazel{}
	err := b.implement(t, "private/push.bzl", "push_rule", b.ctx(attributes))
	return b.written["bin/target.sh"], err
}

func TestPushingPassesEverythingOn(t *testing.T) {
	t.Parallel()
	script, err := pushScript(t, map[string]starlark.Value{"repository": starlark.String("example.com/$(id)'s")})
	require.NoError(t, err)
	path, runfiles := installed(t, script)
	out, err := start(t, path, nil, nil, "--tag", "a b", "*")
	require.NoError(t, err, out)
	require.Equal(t, "tool [push] [--target=//pkg:target] [--layout="+runfiles+"/other/image] [--tags-file="+runfiles+
		"/_main/tags.txt] [--repository=example.com/$(id)'s] [--tag] [a b] [*]\n", out)

	script, err = pushScript(t, map[string]starlark.Value{"repository_file": fakeFile("repository.txt")})
	require.NoError(t, err)
	path, runfiles = installed(t, script)
	out, err = start(t, path, nil, nil)
	require.NoError(t, err, out)
	require.Contains(t, out, "[--repository-file="+runfiles+"/_main/repository.txt]")

	_, err = pushScript(t, map[string]starlark.Value{"repository": starlark.String("r"), "repository_file": fakeFile("f")})
	require.ErrorContains(t, err, "//pkg:target: repository and repository_file can't both be given")
}

func TestOtherFormatsAreRefused(t *testing.T) {
	t.Parallel()
	b := &bazel{}
	err := b.implement(t, "private/load.bzl", "load_rule", b.ctx(map[string]starlark.Value{"format": starlark.String("oci")}))
	require.ErrorContains(t, err, `//pkg:target: format = "oci" is not supported by the offline rules_oci, only "docker"`)
}

// A script may be run by Bazel, by another target whose data it is, or by a test.
func TestScriptsFindTheirRunfiles(t *testing.T) {
	t.Parallel()
	script, err := pushScript(t, nil)
	require.NoError(t, err)
	own, runfiles := installed(t, script)
	elsewhere := t.TempDir()
	for name, c := range map[string]struct {
		path string
		env  []string
	}{
		"its own": {own, nil},
		"its own, before those of whoever calls it": {own, []string{"RUNFILES_DIR=" + elsewhere}},
		"those of another target":                   {filepath.Join(runfiles, "_main", "target.sh"), nil},
		"told":                                      {filepath.Join(elsewhere, "target.sh"), []string{"RUNFILES_DIR=" + runfiles}},
		"in a test":                                 {filepath.Join(elsewhere, "target.sh"), []string{"TEST_SRCDIR=" + runfiles}},
	} {
		if c.path != own {
			write(t, c.path, script)
		}
		out, err := start(t, c.path, nil, c.env)
		require.NoError(t, err, "%s: %s", name, out)
		require.True(t, strings.HasPrefix(out, "tool [push]"), "%s: %s", name, out)
		require.Contains(t, out, "[--layout="+runfiles+"/other/image]", name)
	}
	lost := filepath.Join(t.TempDir(), "target.sh")
	write(t, lost, script)
	out, err := start(t, lost, nil, nil)
	require.Error(t, err)
	require.Contains(t, out, "the runfiles of "+lost+" can't be found")
}
