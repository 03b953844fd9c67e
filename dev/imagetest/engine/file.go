package engine

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/open-executor/executor/dev/imagetest/checks"
)

// File implements checks.Engine: from a container that is made and never started, so that it works on images without a shell. Its Close
// removes that container.
func (e *Engine) File(ctx context.Context, image, name string) (file checks.File, err error) {
	id, err := e.create(ctx, checks.Run{Image: image, Command: []string{neverRun}})
	if err != nil {
		return checks.File{}, err
	}
	remove := func() error { return e.remove(ctx, id) }
	defer func() {
		if err != nil {
			err = errors.Join(err, remove())
		}
	}()
	copied, err := e.api.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: name})
	// Below a file there is nothing; engines tell that by words only.
	if errdefs.IsNotFound(err) || err != nil && strings.HasSuffix(err.Error(), ": not a directory") {
		return checks.File{}, fmt.Errorf("%s: %w", name, checks.ErrNoFile)
	}
	if err != nil {
		return checks.File{}, fmt.Errorf("reading %s: %w", name, err)
	}
	archive := tar.NewReader(copied.Content)
	// The entry itself comes first; a directory's content follows and is not read.
	header, err := archive.Next()
	if err != nil {
		return checks.File{}, errors.Join(fmt.Errorf("reading %s: %w", name, err), copied.Content.Close())
	}
	switch header.Typeflag {
	case tar.TypeDir, tar.TypeReg, tar.TypeLink, tar.TypeSymlink:
	default: // Devices and pipes are no files, as in the real tool.
		return checks.File{}, errors.Join(fmt.Errorf("%s: %w", name, checks.ErrNoFile), copied.Content.Close())
	}
	if path.Base(path.Clean(header.Name)) != path.Base(path.Clean(name)) {
		return checks.File{}, errors.Join(fmt.Errorf("reading %s: the engine answered with %s", name, header.Name), copied.Content.Close())
	}
	return checks.File{
		ReadCloser: &entry{Reader: archive, answer: copied.Content, remove: remove},
		Mode:       header.FileInfo().Mode(), UID: header.Uid, GID: header.Gid, Size: header.Size, LinkTo: header.Linkname,
	}, nil
}

// entry reads a file from the engine's answer.
type entry struct {
	io.Reader
	answer io.Closer
	remove func() error
}

func (e *entry) Close() error { return errors.Join(e.answer.Close(), e.remove()) }
