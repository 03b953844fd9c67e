package microvm

import (
	"context"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/vm/imagedisk"
)

// ahead is an image that is fetched before the step that needs it begins. A nil one has nothing. Its methods are not for concurrent use.
type ahead struct {
	image  string
	cancel context.CancelFunc
	done   chan struct{}
	disk   *imagedisk.Disk
	// inserted is true once the machine has the disk.
	inserted bool
}

// fetch begins to fetch an image. Errors are left to the step, which tries again and tells of them.
func (r *Runtime) fetch(ctx context.Context, image string, auth api.DockerAuthConfig) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{image: image, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.disk, _ = r.images.Get(ctx, image, auth)
	}()
	return a
}

// ready gives the disk away if it is there.
func (a *ahead) ready() *imagedisk.Disk {
	if a == nil {
		return nil
	}
	select {
	case <-a.done:
		a.inserted = a.disk != nil
		return a.disk
	default:
		return nil
	}
}

// take gives the disk away for a step with that image, once; inserted tells that the machine has it already. A disk that is still on its way is
// not waited for here: who fetches it as well joins.
func (a *ahead) take(image string) (disk *imagedisk.Disk, inserted bool) {
	if a == nil || a.image == "" {
		return nil, false
	}
	// With another image first, what was inserted may have left the machine by the next step.
	wanted := a.image == image
	a.image = ""
	switch {
	case !wanted:
		return nil, false
	case a.inserted:
		return nil, true
	}
	if disk = a.ready(); disk != nil {
		return disk, false
	}
	return nil, false
}

// drop ends the fetching, and closes a disk that nobody took.
func (a *ahead) drop() error {
	if a == nil {
		return nil
	}
	a.cancel()
	<-a.done
	if a.disk == nil || a.inserted {
		return nil
	}
	return a.disk.Close()
}
