// Package spawn starts monitors so that they end with the executor, however that ends.
package spawn

import (
	"os"
	"os/exec"
	"runtime"
	"sync"

	"github.com/sourcegraph/log"
	"golang.org/x/sys/unix"
)

// Thread starts processes on one thread that lives until Close: the kernel sends their Pdeathsig when that thread ends, which is when the executor
// ends at the latest. Safe for concurrent use.
type Thread struct {
	starts chan start
	ended  chan struct{}
	once   sync.Once
}

// start is a request to the thread.
type start struct {
	cmd  *exec.Cmd
	done chan<- error
}

// NewThread makes a thread.
func NewThread(logger log.Logger) *Thread {
	t := &Thread{starts: make(chan start), ended: make(chan struct{})}
	go t.run(logger, func() {})
	return t
}

// run serves on a thread that ends with it; begun is called once that is found.
func (t *Thread) run(logger log.Logger, begun func()) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The process's first thread ends with the process alone. As long as it is locked, another one runs.
		found := make(chan struct{})
		go t.run(logger, func() { close(found) })
		<-found
		runtime.UnlockOSThread()
		return
	}
	begun()
	defer close(t.ended)
	// The right to make networks, which an executor that isn't root has as an ambient capability, is not for monitors.
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		logger.Warn("monitors inherit the executor's ambient capabilities", log.Error(err))
	}
	for s := range t.starts {
		s.done <- s.cmd.Start()
	}
}

// Start is cmd.Start. Its SysProcAttr has to have the Pdeathsig. It must not be called after Close.
func (t *Thread) Start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	t.starts <- start{cmd, done}
	return <-done
}

// Close ends the thread, and with it all processes that still run. It may be called more than once.
func (t *Thread) Close() {
	t.once.Do(func() { close(t.starts) })
	<-t.ended
}
