package microvm

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"syscall"
	"time"

	"github.com/open-executor/executor/internal/jobtree"
)

// Bounds of a workspace that goes through the guest agent: beyond them a copy onto the disk, before it is mounted, is faster.
const (
	archiveEntries = 256
	archiveBytes   = 1 << 20
)

// errUnfit says that a workspace is not one for an archive.
var errUnfit = errors.New("the workspace is no small tree of plain files")

// archive returns a directory's contents as a tar archive. The error is errUnfit when there are more than archiveEntries, when they have more than
// archiveBytes, or when an archive would not hold them as they are: files with several names, pipes.
func archive(dir string) ([]byte, error) {
	var entries int
	var size int64
	var packed bytes.Buffer
	err := jobtree.Pack(&packed, dir, func(_ string, info fs.FileInfo) error {
		entries++
		if info.Mode().IsRegular() {
			size += info.Size()
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		plain := info.IsDir() || info.Mode().Type() == fs.ModeSymlink || info.Mode().IsRegular() && ok && stat.Nlink == 1
		if !plain || entries > archiveEntries || size > archiveBytes {
			return errUnfit
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// practice is an archive as that of a small workspace.
func practice() io.Reader {
	var packed bytes.Buffer
	out := tar.NewWriter(&packed)
	content := []byte("echo up\n")
	for _, entry := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "dir", Mode: 0o755, Format: tar.FormatPAX},
		{Typeflag: tar.TypeReg, Name: "dir/script.sh", Mode: 0o755, Size: int64(len(content)), Format: tar.FormatPAX},
	} {
		entry.ModTime = time.Unix(1, 1) // as real ones have them, in a record of their own
		_ = out.WriteHeader(&entry)     // a bytes.Buffer takes everything
	}
	_, _ = out.Write(content)
	_ = out.Close()
	return &packed
}
