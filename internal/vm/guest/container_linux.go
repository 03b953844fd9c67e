package guest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/vm/channel"
)

const containersDir = "/run/containers"

// runContainer runs a step.
func (a *Agent) runContainer(ctx context.Context, c channel.Container, x channel.Exchange) (result channel.Result, err error) {
	name := a.name("container")
	b := &bundle{dir: filepath.Join(containersDir, name)}
	defer func() { err = errors.Join(err, b.remove()) }()
	if err := a.prepare(b, c); err != nil {
		return result, err
	}
	g, err := newGroup(name, c.Memory, c.Pids)
	if err != nil {
		return result, err
	}
	crun, err := exec.LookPath("crun")
	if err != nil {
		return result, errors.Join(fmt.Errorf("the guest's root has no crun; make it of an image that has (EXECUTOR_FIRECRACKER_IMAGE): %w", err), g.remove())
	}
	log := filepath.Join(b.dir, "log")
	result, err = a.run(ctx, exec.Command(crun, "--root", "/run/crun", "--cgroup-manager", "disabled", "--log", log, "--log-format", "json",
		"run", "--no-new-keyring", "--bundle", b.dir, name), g, x)
	if message := firstError(log); message != "" && err == nil {
		return result, fmt.Errorf("%w: %s", errStart, message)
	}
	return result, err
}

// bundle is a container's configuration and root.
type bundle struct {
	dir, scratch string
	mounted      bool
}

func (b *bundle) rootfs() string { return filepath.Join(b.dir, "rootfs") }

// prepare mounts the image with a writable layer on the job's drive.
func (a *Agent) prepare(b *bundle, c channel.Container) error {
	image, err := a.mountImage(c.Drive)
	if err != nil {
		return fmt.Errorf("the step's image: %w", err)
	}
	workspace, scratch := a.places()
	b.scratch = filepath.Join(scratch, filepath.Base(b.dir))
	upper, work := filepath.Join(b.scratch, "files"), filepath.Join(b.scratch, "work")
	err = errors.Join(os.MkdirAll(b.rootfs(), 0o755), os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755))
	if err != nil {
		return err
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,volatile", image, upper, work)
	if err := (mount{"overlay", b.rootfs(), "overlay", unix.MS_NODEV, layers}).do(); err != nil {
		return err
	}
	b.mounted = true
	spec, err := newSpec(c, b.rootfs(), workspace)
	if err != nil {
		return err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "config.json"), text, 0o600)
}

func (b *bundle) remove() error {
	var err error
	if b.mounted {
		err = unix.Unmount(b.rootfs(), 0)
	}
	if b.scratch != "" {
		err = errors.Join(err, os.RemoveAll(b.scratch))
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// firstError is what crun says kept it from starting the container; empty when nothing did.
func firstError(log string) string {
	file, err := os.Open(log)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var entry struct{ Msg, Level string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Level == "error" {
			return entry.Msg
		}
	}
	return ""
}
