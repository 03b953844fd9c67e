package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
)

// TestMistakes: wrong command lines and job files exit with 2 and say what is wrong.
func TestMistakes(t *testing.T) {
	s := newShell(t)
	var all strings.Builder
	for _, command := range []string{
		"lst", "--color list", "list --what", "list extra", "list --limit 0", "list --limit many", "list --state over", "list --output xml", "submit", "submit a b", "submit missing.yaml",
		"show", "show one", "show 0", "show -1", "show 1 2", "logs 1 -f --attempt 2", "logs 1 --attempt 0", "logs 1 -o json", "cancel", "retry x", "queues 1", "executors 1",
		"completion", "completion tcsh", "list --url nowhere", "list --token-file missing", "list --token-file /dev/null",
	} {
		got := s.run(command)
		require.Contains(t, got, "exit code 2\n", command)
		all.WriteString(got)
	}
	golden(t, "mistakes", all.String())
}

func TestBadJobFile(t *testing.T) {
	s := newShell(t)
	w, _, stderr := s.world("steps:\n  - {imagee: a, run: x}\nretries: many\n", "submit", "-", "--wait")
	require.Equal(t, exitUsage, run(context.Background(), w))
	require.Contains(t, stderr.String(), `standard input:2:6: steps[0].imagee: unknown member, did you mean "image"?`)
	require.Contains(t, stderr.String(), "\nstandard input:3:10: retries: ")
}

func TestNoConnection(t *testing.T) {
	s := newShell(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.env["EXECCTL_URL"] = "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	for _, command := range []string{"list", "show 1", "logs 1", "logs -f 1", "cancel 1", "retry 1", "executors", "queues"} {
		require.Contains(t, s.run(command), "exit code 3\n", command)
	}
	w, _, stderr := s.world(job, "submit", "-", "--wait")
	require.Equal(t, exitNoConnection, run(context.Background(), w))
	require.Contains(t, stderr.String(), "no connection to the frontend at "+s.env["EXECCTL_URL"])
}

// TestToken: where the token is taken from, and to whom this machine's is never sent.
func TestToken(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	good := write("good", jobsapitest.Token+"\n")
	bad := write("bad", "wrong\n")
	write("data/api-token", jobsapitest.Token)
	write("home/.local/share/open-executor/api-token", jobsapitest.Token)
	write("xdg/open-executor/api-token", jobsapitest.Token)
	data := filepath.Join(dir, "data")
	for name, test := range map[string]struct {
		env   map[string]string
		flags string
		code  int
		says  string
	}{
		"variable":            {map[string]string{"EXECCTL_TOKEN": jobsapitest.Token}, "", 0, ""},
		"wrong variable":      {map[string]string{"EXECCTL_TOKEN": "wrong"}, "", 1, "is not that of this frontend"},
		"flag":                {nil, "--token-file " + good, 0, ""},
		"flag over variable":  {map[string]string{"EXECCTL_TOKEN": "wrong"}, "--token-file " + good, 0, ""},
		"variable of file":    {map[string]string{"EXECCTL_TOKEN_FILE": good}, "", 0, ""},
		"variable over file":  {map[string]string{"EXECCTL_TOKEN": jobsapitest.Token, "EXECCTL_TOKEN_FILE": bad}, "", 0, ""},
		"data directory":      {map[string]string{"FRONTEND_DATA_DIR": data}, "", 0, ""},
		"XDG data home":       {map[string]string{"XDG_DATA_HOME": filepath.Join(dir, "xdg")}, "", 0, ""},
		"home":                {map[string]string{"HOME": filepath.Join(dir, "home"), "XDG_DATA_HOME": "relative"}, "", 0, ""},
		"nothing":             {nil, "", 2, "no home directory"},
		"home without one":    {map[string]string{"HOME": dir}, "", 2, "set EXECCTL_TOKEN, or name its file with --token-file"},
		"not for a stranger":  {map[string]string{"FRONTEND_DATA_DIR": data}, "--url http://frontend.example", 2, "no token for the frontend at http://frontend.example"},
		"nor for one by name": {map[string]string{"FRONTEND_DATA_DIR": data}, "--url http://127.0.0.1.example", 2, "no token for the frontend"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShell(t)
			s.env = map[string]string{"EXECCTL_URL": s.f.URL}
			for name, value := range test.env {
				s.env[name] = value
			}
			got := s.run("queues " + test.flags)
			require.Contains(t, got, test.says)
			if test.code != 0 {
				require.Contains(t, got, "exit code "+string(rune('0'+test.code)))
			} else {
				require.NotContains(t, got, "exit code")
			}
			require.NotContains(t, got, jobsapitest.Token)
		})
	}
}

func TestCompletion(t *testing.T) {
	s := newShell(t)
	require.Contains(t, s.run("completion bash"), "complete -o bashdefault -o default -F _execctl execctl\n")
	require.Contains(t, s.run("completion zsh"), "compdef _execctl execctl\n")
	commands := s.run("--generate-bash-completion")
	for _, name := range []string{"submit", "list", "show", "logs", "cancel", "retry", "executors", "queues", "completion"} {
		require.Contains(t, commands, name)
	}
	require.Contains(t, s.run("submit --f --generate-bash-completion"), "--follow")
	require.Contains(t, s.run("completion --generate-bash-completion"), "bash\nzsh\n")
}

func TestHelp(t *testing.T) {
	s := newShell(t)
	require.Contains(t, s.run(""), "no connection to the frontend")
	require.Contains(t, s.run("submit --help"), "--follow")
	require.Contains(t, s.run("--version"), "execctl version")
}
