package runtimetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
)

func testCapabilities(t *testing.T, b *bundle) {
	capabilities := b.Runtime.Capabilities()
	require.NotEmpty(t, capabilities.Kind)
	require.Regexp(t, `^step\.[a-z]+\.$`, capabilities.StepPrefix)
	require.Equal(t, capabilities, b.Runtime.Capabilities())
}

func testExitCodes(t *testing.T, b *bundle) {
	entry, err := b.run(t, "zero", "true")
	require.NoError(t, err)
	require.Equal(t, 0, entry.ExitCode)
	for _, code := range []int{1, 3, 125, 126, 127, 255} {
		entry, err := b.run(t, fmt.Sprint(code), fmt.Sprintf("exit %d", code))
		var exit *command.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, code, exit.Code)
		require.Equal(t, code, entry.ExitCode)
		require.Empty(t, entry.Out, "a step that chose its exit code needs no explanation")
	}
	_, err = b.run(t, "after", "true")
	require.NoError(t, err, "a step after a failed one runs")
}

func testOutput(t *testing.T, b *bundle) {
	entry, err := b.run(t, "output", "echo one; echo two; echo; printf 'no newline'; echo mistake >&2")
	require.NoError(t, err)
	var stdout []string
	for line := range strings.Lines(entry.Out) {
		if line != "stderr: mistake\n" {
			stdout = append(stdout, line)
		}
	}
	require.Equal(t, []string{"stdout: one\n", "stdout: two\n", "stdout: \n", "stdout: no newline\n"}, stdout)
	require.Contains(t, entry.Out, "stderr: mistake\n")
}

func testBigOutput(t *testing.T, b *bundle) {
	const line, lines = "0123456789abcdef", 5 << 20 / 16
	entry, err := b.run(t, "big", fmt.Sprintf("yes %s | head -n %d", line, lines))
	require.NoError(t, err)
	require.Equal(t, lines*len("stdout: "+line+"\n"), len(entry.Out))
	require.Empty(t, strings.ReplaceAll(entry.Out, "stdout: "+line+"\n", ""))
}

func testEnvironment(t *testing.T, b *bundle) {
	values := map[string]string{
		"PLAIN":    "value",
		"EMPTY":    "",
		"SPACES":   "  two  spaces  ",
		"QUOTES":   `"it's" \"$HOME` + "`id`",
		"EQUALS":   "a=b=c",
		"COMMENT":  "#not a comment",
		"NEWLINES": "first\nsecond\n\nlast\n",
		"UNICODE":  "zażółć 語 🙂",
		"RETURN":   "ends with\r",
		"BIG":      strings.Repeat("0123456789abcdef", 100<<10/16),
	}
	step := b.step(t, "env", `for name in PLAIN EMPTY SPACES QUOTES EQUALS COMMENT NEWLINES UNICODE RETURN BIG; do
eval "printf '%s' \"\$$name\"" > "env-$name" || exit 1
done
echo "${EMPTY+set} ${ABSENT-unset} $TWICE"`)
	for name, value := range values {
		step.Env = append(step.Env, name+"="+value)
	}
	step.Env = append(step.Env, "ABSENT", "TWICE=first", "TWICE=second")
	require.NoError(t, b.session.Run(t.Context(), step))
	for name, value := range values {
		require.Equalf(t, value, b.take(t, "env-"+name), "value of %s", name)
	}
	entry := b.log.Entry(t, step.Key)
	require.Equal(t, "stdout: set unset second\n", entry.Out)
	for name, value := range values {
		if len(value) > len("second") {
			require.NotContainsf(t, strings.Join(entry.Command, " "), value, "the command shows the value of %s", name)
		}
	}
}

func testBadEnvironment(t *testing.T, b *bundle) {
	for name, pair := range map[string]string{"nameless": "=value", "nul": "NAME=a\x00b"} {
		step := b.step(t, name, "true")
		step.Env = []string{pair}
		err := b.session.Run(t.Context(), step)
		require.Errorf(t, err, "pair %q", pair)
		require.Equalf(t, fault.User, fault.ClassOf(err), "pair %q", pair)
		requireRefused(t, b, step.Key)
	}
}

// requireRefused looks for the reason in the log of a step that could not start.
func requireRefused(t *testing.T, b *bundle, key string) {
	t.Helper()
	entry := b.log.Entry(t, key)
	require.Regexp(t, `^The step did not start: .+\.\n$`, entry.Out)
	require.Equal(t, -1, entry.ExitCode)
}

func testDirectory(t *testing.T, b *bundle) {
	_, err := b.run(t, "make", "mkdir -p 'repo/sub dir' && echo inside > 'repo/sub dir/here'")
	require.NoError(t, err)
	for i, dir := range []string{"repo/sub dir", "/repo/sub dir", "repo/./x/../sub dir/"} {
		step := b.step(t, fmt.Sprint("dir", i), "cat here")
		step.Dir = dir
		require.NoErrorf(t, b.session.Run(t.Context(), step), "directory %q", dir)
		require.Equal(t, "stdout: inside\n", b.log.Entry(t, step.Key).Out)
	}
	for i, dir := range []string{"", ".", "/"} {
		step := b.step(t, fmt.Sprint("top", i), "cat 'repo/sub dir/here'")
		step.Dir = dir
		require.NoErrorf(t, b.session.Run(t.Context(), step), "directory %q", dir)
	}
}

func testHostileDirectory(t *testing.T, b *bundle) {
	for i, dir := range []string{"..", "../", "../../etc", "a/../..", "/../etc", "/a/../../b", "a\x00b"} {
		step := b.step(t, fmt.Sprint("dir", i), "echo ran")
		step.Dir = dir
		err := b.session.Run(t.Context(), step)
		require.Errorf(t, err, "directory %q", dir)
		require.Equalf(t, fault.User, fault.ClassOf(err), "directory %q", dir)
		requireRefused(t, b, step.Key)
	}
}
