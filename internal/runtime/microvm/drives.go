package microvm

import (
	"context"
	"errors"

	"github.com/open-executor/executor/internal/vm/imagedisk"
)

// insert puts the first image behind a drive before the guest has asked for it. The machine owns the disk from then on, also on error.
func (m *machine) insert(ctx context.Context, disk *imagedisk.Disk) error {
	if err := m.instance.Swap(ctx, firstImageDrive, disk.File); err != nil {
		return errors.Join(err, disk.Close())
	}
	m.images[0] = disk
	return nil
}

// drive puts an image's disk behind a drive. It returns that drive, and whether the guest has the image there already. The machine owns the disk
// from then on, also on error.
func (m *machine) drive(ctx context.Context, disk *imagedisk.Disk) (drive int, same bool, err error) {
	slot := 0
	for i, there := range m.images {
		if there != nil && there.Digest == disk.Digest {
			drive, same := m.reuse(i)
			return drive, same, disk.Close()
		}
		if m.used[i] < m.used[slot] {
			slot = i
		}
	}
	if err := m.instance.Swap(ctx, firstImageDrive+slot, disk.File); err != nil {
		return 0, false, errors.Join(err, disk.Close())
	}
	old := m.images[slot]
	m.images[slot], m.mounted[slot] = disk, false
	m.reuse(slot)
	if old != nil {
		err = old.Close()
	}
	return firstImageDrive + slot, false, err
}

// reuse gives a step the image that is behind a drive.
func (m *machine) reuse(slot int) (drive int, same bool) {
	m.steps++
	m.used[slot] = m.steps
	same, m.mounted[slot] = m.mounted[slot], true
	return firstImageDrive + slot, same
}
