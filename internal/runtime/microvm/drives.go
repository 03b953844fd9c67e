package microvm

import (
	"context"
	"errors"

	"github.com/open-executor/executor/internal/vm/channel"
	"github.com/open-executor/executor/internal/vm/imagedisk"
)

// slot puts an image's disk behind an image drive, unless it is behind one already, and returns which that is. The machine owns the disk from then on,
// also on error.
func (m *machine) slot(ctx context.Context, disk *imagedisk.Disk) (int, error) {
	oldest := 0
	for i, there := range m.images {
		if there != nil && there.Digest == disk.Digest {
			return i, disk.Close()
		}
		if m.used[i] < m.used[oldest] {
			oldest = i
		}
	}
	return oldest, m.insert(ctx, oldest, disk)
}

// insert puts an image's disk behind an image drive. The machine owns the disk from then on, also on error.
func (m *machine) insert(ctx context.Context, slot int, disk *imagedisk.Disk) error {
	if err := m.instance.Swap(ctx, firstImageDrive+slot, disk.File); err != nil {
		return errors.Join(err, disk.Close())
	}
	old := m.images[slot]
	m.images[slot], m.mounted[slot] = disk, false
	if old != nil {
		return old.Close()
	}
	return nil
}

// mountAhead has the guest mount the image behind an image drive. Errors are left to the step, which tries again and tells of them.
func (m *machine) mountAhead(ctx context.Context, slot int) {
	err := m.ask(ctx, channel.Request{Image: &channel.Image{Drive: firstImageDrive + slot}}, channel.Streams{})
	m.mounted[slot] = err == nil
}

// use makes a step's container run from the image behind an image drive, as that image wants it.
func (m *machine) use(slot int, container *channel.Container) {
	m.steps++
	m.used[slot] = m.steps
	config := m.images[slot].Config
	container.User, container.Env = config.User, environment(config.Env, container.Env)
	container.Drive, container.Same = firstImageDrive+slot, m.mounted[slot]
	m.mounted[slot] = true
}
