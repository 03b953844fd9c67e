package guest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// killTime bounds the wait for processes that were sent SIGKILL.
const killTime = 10 * time.Second

// setUpCgroups puts the agent into a group of its own, since a group with processes can't limit its children.
func setUpCgroups() error {
	agent := filepath.Join(cgroupRoot, "agent")
	if err := os.Mkdir(agent, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(agent, "cgroup.procs"), []byte("0"), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"), []byte("+memory +pids"), 0o644)
}

// group is the control group of one request.
type group struct {
	dir  string
	file *os.File
}

// newGroup makes a group without limits.
func newGroup(name string) (*group, error) {
	g := &group{dir: filepath.Join(cgroupRoot, name)}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.Open(g.dir)
	if err != nil {
		return nil, errors.Join(err, os.Remove(g.dir))
	}
	g.file = file
	return g, nil
}

// limit bounds a group; 0 for no bound. Memory is in bytes.
func (g *group) limit(memory, pids int64) error {
	for file, limit := range map[string]int64{"memory.max": memory, "pids.max": pids} {
		if limit > 0 {
			if err := g.set(file, strconv.FormatInt(limit, 10)); err != nil {
				return err
			}
		}
	}
	return nil
}

// attributes start a process in the group.
func (g *group) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.file.Fd())}
}

func (g *group) set(file, value string) error {
	return os.WriteFile(filepath.Join(g.dir, file), []byte(value), 0o644)
}

// signal sends a signal to all processes of the group but one. Those that it starts meanwhile may be missed.
func (g *group) signal(number syscall.Signal, but int) error {
	text, err := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	var all error
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		if pid == but {
			continue
		}
		if err := unix.Kill(pid, number); err != nil && !errors.Is(err, unix.ESRCH) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// kill sends SIGKILL to all processes of the group, also to those that are being started.
func (g *group) kill() error { return g.set("cgroup.kill", "1") }

// outOfMemory tells whether the kernel killed a process of the group for want of memory.
func (g *group) outOfMemory() bool {
	file, err := os.Open(filepath.Join(g.dir, "memory.events"))
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), " "); key == "oom_kill" {
			return value != "0"
		}
	}
	return false
}

// remove kills what is in the group and removes it.
func (g *group) remove() error {
	defer func() { _ = g.file.Close() }()
	if err := g.kill(); err != nil {
		return err
	}
	err := poll(killTime, func() (retry bool, err error) {
		err = os.Remove(g.dir)
		return errors.Is(err, unix.EBUSY), err
	})
	if err != nil {
		return fmt.Errorf("processes of the step can't be ended: %w", err)
	}
	return nil
}
