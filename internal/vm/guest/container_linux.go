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

// runContainer runs a step.
func (a *Agent) runContainer(ctx context.Context, c channel.Container, x channel.Exchange) (channel.Result, error) {
	image, err := a.mountImage(c.Drive, c.Same)
	if err != nil {
		return channel.Result{}, fmt.Errorf("the step's image: %w", err)
	}
	s, err := a.takeStandby()
	if err != nil {
		return channel.Result{}, err
	}
	restock := a.restock()
	defer restock()
	return a.runFrom(ctx, s, image, c, x)
}

// runFrom runs a step whose image is mounted.
func (a *Agent) runFrom(ctx context.Context, s *standby, image string, c channel.Container, x channel.Exchange) (result channel.Result, err error) {
	b := &bundle{standby: s}
	defer func() { err = errors.Join(err, b.remove()) }()
	if err := a.prepare(b, image, c); err != nil {
		return result, errors.Join(err, s.hangUp(), a.drop(s.process))
	}
	result, err = a.finish(ctx, s.process, x)
	if message := firstError(s.log()); message != "" && err == nil {
		return result, fmt.Errorf("%w: %s", errStart, message)
	}
	return result, err
}

// findCrun finds the program. It is started from the drive itself, which nobody can write to: elsewhere it would copy itself first, so that no
// container can change it.
func findCrun() (string, error) {
	found, err := exec.LookPath("crun")
	if err != nil {
		return "", fmt.Errorf("the guest's root has no crun; make it of an image that has (EXECUTOR_FIRECRACKER_IMAGE): %w", err)
	}
	onDrive := filepath.Join(ownRoot, found)
	if info, err := os.Stat(onDrive); err == nil && info.Mode().IsRegular() {
		return onDrive, nil
	}
	return found, nil
}

// bundle is a container's configuration and root.
type bundle struct {
	*standby
	scratch string
	mounted bool
}

// prepare mounts the image with a writable layer on the job's drive, and lets crun go on.
func (a *Agent) prepare(b *bundle, image string, c channel.Container) error {
	workspace, scratch := a.places()
	b.scratch = filepath.Join(scratch, b.name)
	upper, work := filepath.Join(b.scratch, "files"), filepath.Join(b.scratch, "work")
	if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
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
	useFilter(spec)
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	if err := b.group.limit(c.Memory, c.Pids); err != nil {
		return err
	}
	return b.configure(text)
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
