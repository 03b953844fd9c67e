package guest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/vm/channel"
)

const (
	// jobDir is where the job's drive is mounted.
	jobDir = "/run/job"
	// ownWorkspace and ownScratch serve in a guest without a job's drive.
	ownWorkspace = "/run/workspace"
	ownScratch   = "/run/scratch"
)

// changeWorkspace lets go of the job's drive, if there was one, and mounts the one that w names, if it names one.
func (a *Agent) changeWorkspace(w channel.Workspace) error {
	a.mu.Lock()
	mounted := a.workspace != ownWorkspace
	a.workspace, a.scratch = ownWorkspace, ownScratch
	a.mu.Unlock()
	if mounted {
		if err := unix.Unmount(jobDir, 0); err != nil {
			return fmt.Errorf("unmounting the workspace: %w", err)
		}
	}
	if w.Drive == 0 {
		return nil
	}
	return a.mountWorkspace(w.Drive)
}

// mountWorkspace mounts the job's drive, and makes room on it, beside the workspace, for what steps write elsewhere.
func (a *Agent) mountWorkspace(i int) error {
	device, err := checkedDrive(i)
	if err != nil {
		return err
	}
	// No journal, no barriers: nothing on this drive outlives the machine. Zeros beyond what is used are zeros already, as holes.
	if err := (mount{device, jobDir, "ext4", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOATIME, "noauto_da_alloc,nobarrier,noinit_itable"}).do(); err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	workspace := filepath.Join(jobDir, "workspace")
	// The workspace lies on top of the drive. Moving it makes room for its neighbour.
	making, err := moveDown(jobDir)
	if err == nil {
		err = os.Rename(making, workspace)
	}
	if err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	scratch := filepath.Join(jobDir, "scratch")
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.workspace, a.scratch = workspace, scratch
	return nil
}

// moveDown moves all entries of a directory into a new one in it, whose path it returns.
func moveDown(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	into, err := os.MkdirTemp(dir, ".workspace-")
	if err == nil {
		err = os.Chmod(into, 0o755)
	}
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if entry.Name() == "lost+found" {
			// mke2fs makes it; one that the job brought isn't empty and comes along.
			if err := os.Remove(filepath.Join(dir, entry.Name())); err == nil {
				continue
			}
		}
		if err := os.Rename(filepath.Join(dir, entry.Name()), filepath.Join(into, entry.Name())); err != nil {
			return "", err
		}
	}
	return into, nil
}

func checkedDrive(i int) (string, error) {
	if i < 1 || i > 25 {
		return "", fmt.Errorf("drive %d: there is no such drive", i)
	}
	device := drive(i)
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("drive %d: %w", i, err)
	}
	defer func() { _ = unix.Close(fd) }()
	// Another file may stand behind it than when the kernel looked at it first.
	if err := unix.IoctlSetInt(fd, unix.BLKFLSBUF, 0); err != nil {
		return "", fmt.Errorf("drive %d: %w", i, err)
	}
	return device, nil
}

// mountImage returns where the image on a drive is mounted. The same one is not mounted anew.
func (a *Agent) mountImage(i int, same bool) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if dir, found := a.images[i]; found {
		if same {
			return dir, nil
		}
		if err := unix.Unmount(dir, 0); err != nil {
			return "", fmt.Errorf("unmounting drive %d: %w", i, err)
		}
		delete(a.images, i)
	}
	device, err := checkedDrive(i)
	if err != nil {
		return "", err
	}
	dir := fmt.Sprintf("/run/images/%d", i)
	if err := (mount{device, dir, "squashfs", unix.MS_RDONLY | unix.MS_NODEV, ""}).do(); err != nil {
		return "", err
	}
	a.images[i] = dir
	return dir, nil
}

// shell is the program that steps begin with, maxShell how much of it is read ahead, in bytes.
const (
	shell    = "bin/sh"
	maxShell = 4 << 20
)

// readyImage mounts the image on a drive, and begins to read what a step will read first: without KVM unpacking it takes as long as making the
// container around it.
func (a *Agent) readyImage(i int) error {
	dir, err := a.mountImage(i, false)
	if err != nil {
		return err
	}
	a.background.Go(func() {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return
		}
		defer func() { _ = root.Close() }()
		file, err := root.OpenFile(shell, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return // an image without one, or with one that leads elsewhere: the step will tell
		}
		defer func() { _ = file.Close() }()
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			_, _ = io.CopyN(io.Discard, file, maxShell)
		}
	})
	return nil
}

// powerOff lets go of the job's drive, so that what stands on it is whole, and ends the machine. There may be no job's drive, and one that
// is busy is at least synced.
func (a *Agent) powerOff() error {
	_ = unix.Unmount(jobDir, 0)
	return PowerOff()
}

// fullBelow is how much room is left on a drive that counts as full, in bytes: programs give up before the last block is taken.
const fullBelow = 1 << 20

// diskFull tells whether there is no room, or no inode, left on the job's drive.
func diskFull() bool {
	var stat unix.Statfs_t
	if err := unix.Statfs(jobDir, &stat); err != nil {
		return false
	}
	return stat.Type == unix.EXT4_SUPER_MAGIC && (stat.Bavail*uint64(stat.Bsize) < fullBelow || stat.Ffree == 0)
}
