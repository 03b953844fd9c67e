package guest

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reaper ends the zombies that the first process of a machine inherits, and leaves its own children to those who wait for them.
type reaper struct {
	mu  sync.Mutex
	own map[int]bool
}

// start starts a process whose end wait will see.
func (r *reaper) start(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	r.own[cmd.Process.Pid] = true
	return nil
}

// wait is cmd.Wait.
func (r *reaper) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	r.mu.Lock()
	delete(r.own, cmd.Process.Pid)
	r.mu.Unlock()
	r.reap()
	return err
}

// run reaps until done is closed.
func (r *reaper) run(done <-chan struct{}) {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	defer signal.Stop(children)
	for {
		select {
		case <-done:
			return
		case <-children:
			r.reap()
		}
	}
}

func (r *reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		// Looks without reaping: one of our own stays for its wait. Until then it hides those behind it, so wait reaps as well.
		pid := firstZombie()
		if pid == 0 || r.own[pid] {
			return
		}
		_, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// firstZombie is a child that has ended and that nobody has waited for; 0 for none.
func firstZombie() int {
	// siginfo_t: the pid stands after signo, errno, code and padding on 64-bit machines.
	var info [128]byte
	err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil {
		return 0
	}
	return int(*(*int32)(unsafe.Pointer(&info[16])))
}
