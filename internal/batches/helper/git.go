package helper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

const (
	// diffLimit bounds a diff, in bytes.
	diffLimit = 128 << 20
	// messageLimit bounds what is kept of git's errors, in bytes.
	messageLimit = 4 << 10
	gitDeadline  = 30 * time.Minute
)

// diff stages all changes in the repository and returns git's diff of them, byte for byte.
func (h *Helper) diff(ctx context.Context) ([]byte, error) {
	info, err := os.Lstat(h.repository())
	if err == nil && !info.IsDir() {
		err = fault.Userf("it is %s: no step may replace it", info.Mode().Type())
	}
	if err != nil {
		return nil, fmt.Errorf("the repository is looked for in %s: %w", h.repository(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, gitDeadline)
	defer cancel()
	if _, err := h.git(ctx, "add", "--all"); err != nil {
		return nil, err
	}
	// The options that follow --binary keep the repository's configuration, which steps can write, from changing the diff's form.
	return h.git(ctx, "diff", "--cached", "--no-prefix", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short")
}

// git runs git in the repository and returns its standard output.
func (h *Helper) git(ctx context.Context, args ...string) ([]byte, error) {
	// Nothing that a step may have configured there is started.
	settings := []string{"-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull}
	if h.TrustRepository {
		// Said for this command alone: the user's own configuration, which may be missing or another's, stays as it is.
		for _, dir := range trusted(h.repository()) {
			settings = append(settings, "-c", "safe.directory="+dir)
		}
	}
	cmd := exec.CommandContext(ctx, "git", append(settings, args...)...)
	cmd.Dir = h.repository()
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	cmd.WaitDelay = 5 * time.Second
	stdout, stderr := &capped{left: diffLimit}, &capped{left: messageLimit, drop: true}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if stdout.left < 0 {
		return nil, fault.Userf("the diff is larger than %d MiB, which is the most that is taken: let the step change less, or ignore what it "+
			"builds with .gitignore", diffLimit>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("git %s in %s: %w: %s", strings.Join(args, " "), h.repository(), err, strings.TrimSpace(string(stderr.kept)))
	}
	return stdout.kept, nil
}

// trusted returns the names under which git may know a repository.
func trusted(dir string) []string {
	names := []string{dir}
	if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir {
		names = append(names, real)
	}
	return names
}

// capped keeps as much as it has left: what is more is dropped, or an error.
type capped struct {
	kept []byte
	left int
	drop bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.left < len(p) && c.drop {
		c.kept = append(c.kept, p[:c.left]...)
		c.left = 0
		return len(p), nil
	}
	if c.left -= len(p); c.left < 0 {
		return 0, errors.New("too much")
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}
