package publishing

import (
	"bytes"
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/program/programtest"
	"github.com/open-executor/executor/dev/release/scripttest"
)

// script is a program for the shell, put somewhere.
func script(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/usr/bin/env bash\nset -euo pipefail\n"+text), 0o755))
	return path
}

// repository is a clone to publish from, on its first commit.
type repository struct{ dir string }

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t.TempDir()}
	r.git(t, "init", "--quiet", "--initial-branch=main")
	r.write(t, "go.mod", "module github.com/open-executor/executor\n")
	r.write(t, "go.sum", "")
	r.write(t, ".mailmap", "Mapped <mapped@example.com> <author@example.com>\n")
	r.commit(t)
	return r
}

func (r repository) git(t *testing.T, words ...string) string {
	t.Helper()
	git := exec.Command("git", words...)
	git.Dir, git.Env = r.dir, scripttest.Environment(nil)
	var stderr bytes.Buffer
	git.Stderr = &stderr
	out, err := git.Output()
	require.NoError(t, err, "git %v: %s", words, &stderr)
	return strings.TrimSpace(string(out))
}

func (r repository) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(r.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

// commit makes a commit, with what changed or without, and returns its hash.
func (r repository) commit(t *testing.T) string {
	t.Helper()
	r.git(t, "add", "--all")
	r.git(t, "commit", "--quiet", "--allow-empty", "--message=a change")
	return r.git(t, "rev-parse", "HEAD")
}

// push is a call of _binary.push.sh.
type push struct {
	repository  repository
	arguments   []string
	environment map[string]string
	// place is the directory that is published to.
	place string
}

// executor writes a program with a version; the same words make the same program.
func executor(t *testing.T, machine elf.Machine, version, words string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "executor")
	require.NoError(t, os.WriteFile(path, programtest.Program{
		Machine: machine, GoVersion: "go1.26.8", Modules: "path\tx\nmod\tgithub.com/open-executor/executor\t(devel)\t\n",
		Symbols: map[string]string{"github.com/open-executor/executor/internal/version.version": version}, Extra: words,
	}.Bytes(), 0o755))
	return path
}

// newPush publishes main to a directory that nothing is in yet.
func newPush(t *testing.T) push {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := push{repository: newRepository(t), place: filepath.Join(t.TempDir(), "place")}
	p.arguments = []string{
		executor(t, elf.EM_X86_64, "0.0.0+dev", "first"), executor(t, elf.EM_AARCH64, "0.0.0+dev", "first"),
		script(t, filepath.Join(t.TempDir(), "release"), fmt.Sprintf("exec env %s=1 %q \"$@\"\n", asReleaseProgram, self)),
		script(t, filepath.Join(t.TempDir(), "gsutil"), "echo 'gsutil was called' >&2; exit 9\n"),
	}
	p.environment = map[string]string{
		"BUILD_WORKSPACE_DIRECTORY": p.repository.dir, "BUILDKITE_BRANCH": "main", "EXECUTOR_ARTIFACTS_URL": "file://" + p.place,
	}
	return p
}

// with returns the push with variables set, or unset where the value is "-".
func (p push) with(pairs ...string) push {
	p.environment = maps.Clone(p.environment)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			delete(p.environment, pairs[i])
		} else {
			p.environment[pairs[i]] = pairs[i+1]
		}
	}
	return p
}

// building returns the push of other executors, of a version.
func (p push) building(t *testing.T, version, words string) push {
	t.Helper()
	p.arguments = slices.Clone(p.arguments)
	p.arguments[0], p.arguments[1] = executor(t, elf.EM_X86_64, version, words), executor(t, elf.EM_AARCH64, version, words)
	return p
}

func (p push) run(t *testing.T, flags ...string) scripttest.Result {
	t.Helper()
	return scripttest.Run(t, exec.Command(ours(t, "cmd/executor/_binary.push.sh"), append(slices.Clone(p.arguments), flags...)...), p.environment)
}

// succeed runs it and returns the commit that was published.
func (p push) succeed(t *testing.T, flags ...string) string {
	t.Helper()
	got := p.run(t, flags...)
	require.Zero(t, got.Code, got.Stderr)
	return p.repository.git(t, "rev-parse", "HEAD")
}
