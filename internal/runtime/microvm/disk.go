package microvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm/channel"
)

// mkfsProgram makes file systems; it needs neither root nor a mount.
const mkfsProgram = "mke2fs"

// mkfsTime bounds it: it copies the whole workspace.
const mkfsTime = 10 * time.Minute

// makeFileSystem makes an ext4 file system on the machine's disk, with the files of a directory on it; empty when dir is "". What stood there
// before is gone. The guest must not have it mounted.
//
// There are no journal and no checksums, since nothing on the disk outlives the machine, and no room to grow: that halves the time. Unused parts
// of the file stay holes.
func (m *machine) makeFileSystem(ctx context.Context, dir string) error {
	info, err := m.disk.Stat()
	if err != nil {
		return err
	}
	// Holes are zeros, which mke2fs is told to rely on.
	if err := m.disk.Truncate(0); err != nil {
		return err
	}
	if err := m.disk.Truncate(info.Size()); err != nil {
		return err
	}
	args := []string{
		"-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal,^resize_inode,^metadata_csum,uninit_bg",
		"-E", "lazy_itable_init=1,nodiscard,root_owner=0:0,packed_meta_blocks=1",
	}
	if dir != "" {
		args = append(args, "-d", dir)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, mkfsTime, fmt.Errorf("not done after %s", mkfsTime))
	defer cancel()
	cmd := exec.CommandContext(ctx, mkfsProgram, append(args, m.diskPath())...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	text := strings.TrimSpace(said.String())
	if strings.Contains(text, "Could not allocate") || strings.Contains(text, "No space left") {
		return fault.Userf("the workspace does not fit on the job's disk of %d MiB (EXECUTOR_FIRECRACKER_DISK_SPACE): %s", info.Size()>>20, text)
	}
	return fmt.Errorf("%s: %w: %s", mkfsProgram, err, text)
}

// warm makes a machine without a job do what its first step would else wait for, and mounts the empty file system on its disk.
func (m *machine) warm(ctx context.Context) error {
	err := m.mountDisk(ctx)
	if err == nil {
		err = m.ask(ctx, channel.Request{Warm: &channel.Warm{}}, channel.Streams{Input: practice()})
	}
	if err != nil {
		return fmt.Errorf("warming it up: %w", err)
	}
	return nil
}

func (m *machine) mountDisk(ctx context.Context) error {
	m.diskMounted = true
	if err := m.ask(ctx, channel.Request{Workspace: &channel.Workspace{Drive: jobDrive}}, channel.Streams{}); err != nil {
		return fmt.Errorf("mounting the job's disk: %w", err)
	}
	return nil
}

// fill gives the guest the files of a directory as its workspace. A waiting machine gets a few small ones through its agent; else they are copied onto
// the disk, as for a machine that boots.
func (m *machine) fill(ctx context.Context, dir string) error {
	if m.filled {
		return m.mountDisk(ctx)
	}
	if m.diskMounted {
		packed, err := archive(dir)
		if err == nil {
			err = m.ask(ctx, channel.Request{Unpack: &channel.Unpack{}}, channel.Streams{Input: bytes.NewReader(packed)})
		}
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errUnfit):
			return fmt.Errorf("copying the job's files: %w", err)
		}
		if err := m.ask(ctx, channel.Request{Workspace: &channel.Workspace{}}, channel.Streams{}); err != nil {
			return fmt.Errorf("unmounting the empty disk: %w", err)
		}
	}
	if err := m.makeFileSystem(ctx, dir); err != nil {
		return fmt.Errorf("making the job's disk: %w", err)
	}
	return m.mountDisk(ctx)
}
