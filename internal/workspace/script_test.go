package workspace

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
)

func TestScriptName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		id       int64
		step     int
		repo, at string
		want     string
	}{
		{id: 42, want: "42.0_@.sh"},
		{id: 42, step: 11, repo: "github.com/a/b", at: "deadbeef", want: "42.11_github.com_a_b@deadbeef.sh"},
		{id: 1, repo: "r", at: "feature/x", want: "1.0_r@feature_x.sh"},
		{id: 1, repo: "../../etc", at: "/", want: "1.0_.._.._etc@_.sh"},
		{id: 1, repo: "a\x00b", at: "c\nd", want: "1.0_a_b@c_d.sh"},
	} {
		job := api.Job{ID: test.id, RepositoryName: test.repo, Commit: test.at}
		require.Equal(t, test.want, scriptName(job, test.step))
	}
}

func TestScriptNamesStayShortAndApart(t *testing.T) {
	t.Parallel()
	long := api.Job{ID: 1, RepositoryName: strings.Repeat("ü", 300), Commit: "a"}
	other := long
	other.Commit = "b"
	for _, job := range []api.Job{long, other} {
		name := scriptName(job, 0)
		require.LessOrEqual(t, len(name), 255)
		require.True(t, strings.HasPrefix(name, "1.0_ü"))
		require.True(t, strings.HasSuffix(name, ".sh"))
		require.True(t, utf8.ValidString(name))
	}
	require.NotEqual(t, scriptName(long, 0), scriptName(other, 0))

	fits := api.Job{ID: 1, RepositoryName: strings.Repeat("r", 255-len("1.0_@.sh"))}
	require.Equal(t, "1.0_"+fits.RepositoryName+"@.sh", scriptName(fits, 0))
}

// shells are the POSIX shells of this machine. There is always sh.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for name, words := range map[string][]string{"sh": {"sh"}, "dash": {"dash"}, "bash": {"bash"}, "busybox": {"busybox", "sh"}} {
		if program, err := exec.LookPath(words[0]); err == nil {
			all[name] = append([]string{program}, words[1:]...)
		}
	}
	require.Contains(t, all, "sh")
	return all
}

type ran struct {
	stdout, stderr string
	code           int
}

func runScript(t *testing.T, shell []string, content string) ran {
	t.Helper()
	path := filepath.Join(t.TempDir(), "42.0_my repo@.sh")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o755))
	cmd := exec.Command(shell[0], append(shell[1:], path)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		require.IsType(t, new(exec.ExitError), err)
	}
	// Each shell quotes the words of its trace in its own way.
	trace := strings.ReplaceAll(stderr.String(), "'", "")
	return ran{stdout.String(), trace, cmd.ProcessState.ExitCode()}
}

// withoutBash makes a script believe that there is no bash.
func withoutBash(content string) string {
	return "command() { return 1; }\n" + strings.ReplaceAll(content, "/bin/bash", "/nonexistent/bash")
}

// withBashElsewhere hides bash from the search of the preamble, which then takes the one in a fixed place.
func withBashElsewhere(t *testing.T, content string) string {
	fake := filepath.Join(t.TempDir(), "bash")
	require.NoError(t, os.WriteFile(fake, []byte("#!/bin/sh\nREPLACED=yes\nexport REPLACED\nexec sh \"$@\"\n"), 0o755))
	return "command() { return 1; }\n" + strings.ReplaceAll(content, "/bin/bash", fake)
}

func TestScriptBehaviour(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		commands []string
		want     ran
	}{
		"traces every command": {
			[]string{"echo one", "A=x", `echo "$A y"`},
			ran{stdout: "one\nx y\n", stderr: "+ echo one\n+ A=x\n+ echo x y\n"},
		},
		"exits with the last command's status": {[]string{"true", "(exit 7)"}, ran{stderr: "+ true\n+ exit 7\n", code: 7}},
		"goes on after a failure":              {[]string{"false", "echo on"}, ran{stdout: "on\n", stderr: "+ false\n+ echo on\n"}},
		"may stop at the first failure":        {[]string{"set -e", "false", "echo on"}, ran{stderr: "+ set -e\n+ false\n", code: 1}},
		"may silence the trace":                {[]string{"{ set +x; } 2>/dev/null", "echo quiet"}, ran{stdout: "quiet\n"}},
		"may be empty":                         {nil, ran{}},
		"may end early":                        {[]string{"exit 3", "echo no"}, ran{stderr: "+ exit 3\n", code: 3}},
	} {
		for shell, words := range shells(t) {
			t.Run(name+" under "+shell, func(t *testing.T) {
				t.Parallel()
				content := script(api.DockerStep{Commands: test.commands})
				require.Equal(t, test.want, runScript(t, words, content))
				require.Equal(t, test.want, runScript(t, words, withoutBash(content)), "without bash")
			})
		}
	}
}

func TestScriptPrefersBash(t *testing.T) {
	t.Parallel()
	content := script(api.DockerStep{Commands: []string{`echo "${BASH_VERSION:+bash}${REPLACED:+replaced}"`}})
	for shell, words := range shells(t) {
		if _, err := exec.LookPath("/bin/bash"); err == nil {
			require.Equal(t, "bash\n", runScript(t, words, content).stdout, shell)
		}
		require.Contains(t, runScript(t, words, withBashElsewhere(t, content)).stdout, "replaced\n", shell)
		if shell != "bash" {
			require.NotContains(t, runScript(t, words, withoutBash(content)).stdout, "replaced", shell)
		}
	}
}

func TestScriptStartsOverOnce(t *testing.T) {
	t.Parallel()
	content := script(api.DockerStep{Commands: []string{`echo "$1" $#`}})
	require.True(t, strings.HasPrefix(content, "\n"))
	for shell, words := range shells(t) {
		got := runScript(t, words, withBashElsewhere(t, content))
		require.Equal(t, ran{stdout: "skip-check 1\n", stderr: "+ echo skip-check 1\n"}, got, shell)
	}
}

// A command that is stopped has time to tidy up: the shell around it waits instead of dying first.
func TestScriptWaitsForItsCommandOnSIGTERM(t *testing.T) {
	t.Parallel()
	const tidy = `sh -c 'trap "echo released; exit 0" TERM; echo up; while :; do sleep 0.05; done'`
	for shell, words := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "step.sh")
			require.NoError(t, os.WriteFile(path, []byte(script(api.DockerStep{Commands: []string{tidy, "echo not reached"}})), 0o755))
			cmd := exec.Command(words[0], append(words[1:], path)...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines := bufio.NewScanner(stdout)
			require.True(t, lines.Scan())
			require.Equal(t, "up", lines.Text())
			require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM))
			require.True(t, lines.Scan())
			require.Equal(t, "released", lines.Text())
			require.False(t, lines.Scan(), "the next command does not start")
			require.Error(t, cmd.Wait())
			require.Equal(t, 128+int(syscall.SIGTERM), cmd.ProcessState.ExitCode())
		})
	}
}
