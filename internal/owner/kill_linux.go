package owner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	// killLimit bounds a KillMarked; a process that outlives it hangs in the kernel.
	killLimit = 10 * time.Second
	// killPause is the time between two looks at the process table.
	killPause = 5 * time.Millisecond
)

// KillMarked kills (SIGKILL) every process that was started with mark in its environment, except this one, and returns how
// many those were once they are gone. It sees processes of this user, and all when it runs as root. It ends with an error
// when some are still there when the context ends, or after ten seconds. On other systems than Linux it does nothing.
func KillMarked(ctx context.Context, mark string) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, killLimit, fmt.Errorf("not gone %s after SIGKILL", killLimit))
	defer cancel()
	killed := map[int]bool{}
	for {
		pids, err := marked(mark)
		if err != nil {
			return len(killed), err
		}
		if len(pids) == 0 {
			return len(killed), nil
		}
		for _, pid := range pids {
			if err := kill(pid, mark); err != nil {
				return len(killed), fmt.Errorf("killing process %d: %w", pid, err)
			}
			killed[pid] = true
		}
		select {
		case <-ctx.Done():
			return len(killed), fmt.Errorf("%d processes left running: %w", len(pids), context.Cause(ctx))
		case <-time.After(killPause):
		}
	}
}

func marked(mark string) ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != os.Getpid() && hasMark(pid, mark) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// hasMark is false for processes that are gone, exiting, or not ours to see.
func hasMark(pid int, mark string) bool {
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if string(entry) == mark {
			return true
		}
	}
	return false
}

// kill looks again once it holds the process by a handle (a pidfd), since the number may have passed to another one.
func kill(pid int, mark string) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer process.Release()
	if !hasMark(pid, mark) {
		return nil
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
