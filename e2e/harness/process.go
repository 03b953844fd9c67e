package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Process is a running program. It is killed at the end of the test if it still runs then.
type Process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	out  *output
	done chan struct{}
}

// StartProcess starts a program with exactly the given environment besides PATH and HOME.
func StartProcess(t testing.TB, env []string, program string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: program, out: &output{}, done: make(chan struct{})}
	p.cmd = exec.Command(Program(t, program), args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "SRC_LOG_LEVEL=info", "SRC_LOG_FORMAT=console"}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	// A group of its own: signals of the terminal don't reach it, and leftovers can be told apart.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s", program, p.Output())
		}
	})
	return p
}

// Signal sends a signal to the process.
func (p *Process) Signal(signal syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(signal))
}

// Kill ends the process with SIGKILL and waits for it; nothing when it has ended already.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running reports whether the process still runs.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait waits until the process ends by itself and returns its exit code; -1 stands for a signal.
func (p *Process) Wait(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.t.Fatalf("%s did not end within %s; its output:\n%s", p.name, limit, p.Output())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Output is what the process has printed so far, both streams together.
func (p *Process) Output() string { return p.out.String() }

// AwaitOutput waits for a text in the output and returns what follows it on its line.
func (p *Process) AwaitOutput(text string) string {
	p.t.Helper()
	var rest string
	Eventually(p.t, Patience, p.name+" prints "+text, func() bool {
		_, after, found := strings.Cut(p.Output(), text)
		rest, _, _ = strings.Cut(after, "\n")
		return found && strings.Contains(after, "\n")
	})
	return rest
}

// LoggedAt waits for a log line that has all the texts and returns its time, to the millisecond: the program's own clock, which
// a busy machine doesn't blur.
func (p *Process) LoggedAt(texts ...string) time.Time {
	p.t.Helper()
	var at time.Time
	Eventually(p.t, Patience, fmt.Sprintf("%s logs %q", p.name, texts), func() bool {
		for line := range strings.Lines(p.Output()) {
			stamp, _, _ := strings.Cut(line, "\t")
			logged, err := time.Parse(time.RFC3339, stamp)
			missing := slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
			if err == nil && !missing && strings.HasSuffix(line, "\n") {
				at = logged
				return true
			}
		}
		return false
	})
	return at
}

// output is a buffer for two streams.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}
