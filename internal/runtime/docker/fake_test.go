package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeProgram plays the docker program. DOCKER_HOST, which reaches it as it reaches the real one, is "fake:" and the directory
// that says what it does for each command:
//
//	VERB.out, VERB.err, VERB.code   what it prints, and its exit code
//	VERB.N.out, …                   the same for the Nth call only
//	VERB.hang                       it never answers
//
// It notes each call's words in VERB.N/words, its environment in VERB.N/environ, and the env file in VERB.N/env-file.
const fakeProgram = `#!/bin/sh
dir=${DOCKER_HOST#fake:}
verb=$1
[ "$verb" = --config ] && verb=$3
n=1
until mkdir "$dir/$verb.$n" 2>/dev/null; do n=$((n + 1)); done
noted=$dir/$verb.$n
cat /proc/self/environ > "$noted/environ"
for word; do
	printf '%s\n' "$word" >> "$noted/words"
	[ "$last" = --env-file ] && { stat -c %a "$word"; cat "$word"; } > "$noted/env-file"
	last=$word
done
part() {
	cat "$dir/$verb.$n.$1" 2>/dev/null || cat "$dir/$verb.$1" 2>/dev/null
}
part out
part err >&2
part hang && exec sleep 1000
exit "$(part code || echo 0)"
`

// fakeDocker is the directory of a fake docker program that stands first in PATH.
type fakeDocker string

// newFakeDocker changes the environment, so tests with it don't run in parallel.
func newFakeDocker(t *testing.T) fakeDocker {
	t.Helper()
	bin, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte(fakeProgram), 0o755))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("DOCKER_HOST", "fake:"+dir)
	fake := fakeDocker(dir)
	fake.set(t, "info.out", "64\n")
	return fake
}

// set says what a command does.
func (d fakeDocker) set(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(string(d), name), []byte(content), 0o600))
}

func (d fakeDocker) unset(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(string(d), name)))
}

// get returns what a call noted.
func (d fakeDocker) get(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(string(d), name))
	require.NoError(t, err)
	return string(content)
}

// calls returns the words of all calls of a verb.
func (d fakeDocker) calls(t *testing.T, verb string) []string {
	t.Helper()
	var all []string
	for n := 1; ; n++ {
		words, err := os.ReadFile(filepath.Join(string(d), fmt.Sprintf("%s.%d", verb, n), "words"))
		if err != nil {
			return all
		}
		all = append(all, strings.ReplaceAll(strings.TrimSpace(string(words)), "\n", " "))
	}
}

// next is the number that the next call of a verb will have. A call that was killed early has one too, though it noted no words.
func (d fakeDocker) next(verb string) int {
	for n := 1; ; n++ {
		if _, err := os.Stat(filepath.Join(string(d), fmt.Sprintf("%s.%d", verb, n))); err != nil {
			return n
		}
	}
}
