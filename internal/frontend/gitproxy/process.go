package gitproxy

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// leftoverWait is how long a git that was killed may hold its pipes.
const leftoverWait = 5 * time.Second

// passedOn are the host's variables that git needs to reach remotes.
var passedOn = []string{
	"PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
}

// gitCommand prepares a git that depends on nothing but its arguments: no system or user configuration, no prompts, no hooks. A
// repository's own configuration is still read, but git takes nothing from there that runs programs while it serves. When the context
// ends the whole process group is killed. Env holds further NAME=value pairs.
func gitCommand(ctx context.Context, env []string, args ...string) *exec.Cmd {
	args = append([]string{
		// Whoever owns the files: the operator chose to serve them.
		"-c", "safe.directory=*",
		"-c", "core.hooksPath=/dev/null",
		"-c", "core.fsmonitor=false",
		"-c", "credential.helper=",
	}, args...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(cmd.Env,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_OPTIONAL_LOCKS=0",
		"HOME=/nonexistent", "LC_ALL=C.UTF-8")
	for _, name := range passedOn {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = leftoverWait
	return cmd
}

// head keeps the beginning of what git complains about, for the log.
type head struct {
	kept  []byte
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), h.limit-len(h.kept))]...)
	return len(p), nil
}

func (h *head) String() string { return strings.TrimSpace(string(h.kept)) }
