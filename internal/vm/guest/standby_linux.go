package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	containersDir = "/run/containers"
	// crunState is where crun keeps what it knows of its containers.
	crunState = "/run/crun"
	// configFile is where crun looks for a container's configuration in its bundle.
	configFile = "config.json"
)

// startTime bounds the wait for crun to ask for a container's configuration.
const startTime = 10 * time.Second

// standby is a container whose crun has been started and waits for its configuration: loading the program takes about as long as the rest of
// a container's start.
type standby struct {
	*process
	name string
	// dir is the bundle.
	dir string
	// config is the pipe that crun reads its configuration from; nil as long as it hasn't opened it.
	config *os.File
}

// newStandby starts a container's crun.
func (a *Agent) newStandby() (_ *standby, err error) {
	crun, err := findCrun()
	if err != nil {
		return nil, err
	}
	name := a.name("container")
	s := &standby{name: name, dir: filepath.Join(containersDir, name)}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	if err := os.MkdirAll(s.rootfs(), 0o755); err != nil {
		return nil, err
	}
	if err := unix.Mkfifo(filepath.Join(s.dir, configFile), 0o600); err != nil {
		return nil, err
	}
	g, err := newGroup(name)
	if err != nil {
		return nil, err
	}
	s.process, err = a.start(exec.Command(crun, "--root", crunState, "--cgroup-manager", "disabled", "--log", s.log(), "--log-format", "json",
		"run", "--no-new-keyring", "--bundle", s.dir, name), g)
	return s, err
}

func (s *standby) rootfs() string { return filepath.Join(s.dir, "rootfs") }
func (s *standby) log() string    { return filepath.Join(s.dir, "log") }

// ready waits until crun asks for its configuration.
func (s *standby) ready() error {
	if s.config != nil {
		return nil
	}
	err := poll(startTime, func() (retry bool, err error) {
		// Opens once there is a reader.
		s.config, err = os.OpenFile(filepath.Join(s.dir, configFile), os.O_WRONLY|unix.O_NONBLOCK, 0)
		return errors.Is(err, unix.ENXIO), err
	})
	if err != nil {
		s.config = nil
		return fmt.Errorf("crun doesn't ask for its configuration: %w", err)
	}
	return nil
}

// configure gives crun its configuration. It reads it once more, to keep a copy: that comes from a file in the pipe's place.
func (s *standby) configure(text []byte) error {
	if err := s.ready(); err != nil {
		return err
	}
	file := filepath.Join(s.dir, configFile)
	err := os.WriteFile(file+".new", text, 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err == nil {
		err = s.config.SetWriteDeadline(time.Now().Add(startTime))
	}
	if err == nil {
		_, err = s.config.Write(text)
	}
	return errors.Join(err, s.hangUp())
}

// hangUp ends the configuration.
func (s *standby) hangUp() error {
	if s.config == nil {
		return nil
	}
	err := s.config.Close()
	s.config = nil
	return err
}

// takeStandby is the container that waits, or a new one.
func (a *Agent) takeStandby() (*standby, error) {
	a.waiting.Lock()
	defer a.waiting.Unlock()
	if s := a.standby; s != nil {
		a.standby = nil
		return s, nil
	}
	return a.newStandby()
}

// stock makes a container wait for the next step. When it can't be made, that step complains of it.
func (a *Agent) stock() {
	a.waiting.Lock()
	defer a.waiting.Unlock()
	if a.standby == nil {
		a.standby, _ = a.newStandby()
	}
}

// restockTime is how long a step runs before the container for the next one is made beside it: a step that has just begun has better use for
// the processor.
const restockTime = 300 * time.Millisecond

// restock makes a container wait once a step has run for some time, or when end says that it is over.
func (a *Agent) restock() (end func()) {
	over := make(chan struct{})
	a.background.Go(func() {
		timer := time.NewTimer(restockTime)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-over:
		}
		a.stock()
	})
	return func() { close(over) }
}
