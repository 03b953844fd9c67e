package imagedisk

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/open-executor/executor/internal/flock"
)

// What stands behind a disk's key in the names of its files.
const (
	diskFile   = ".squashfs"
	recordFile = ".json"
	// lockFile is locked by who uses the disk, shared, and by who removes it, alone.
	lockFile = ".lock"
	// makingFile is locked by who checks, makes or removes the disk.
	makingFile = ".making"
)

// format is raised when the same image shall give another file.
const format = "v1"

// maxSources bounds the list of sources of a disk.
const maxSources = 256

// record is what is known of a disk.
type record struct {
	// Digest is the image's manifest.
	Digest string `json:"digest"`
	// SHA256 is that of the first Size bytes of the file.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Sources are the repositories that were seen to have all of the image.
	Sources []string  `json:"sources"`
	Config  v1.Config `json:"config"`
}

// key names the files of an image's disk.
func (s *Store) key(digest v1.Hash) string {
	p := s.options.Platform
	key := fmt.Sprintf("%s-%s-%s-%d-%s-%s", format, p.OS, p.Architecture+p.Variant, s.options.Size, digest.Algorithm, digest.Hex)
	return strings.ReplaceAll(key, "/", "_")
}

func (s *Store) path(key, of string) string { return filepath.Join(s.options.Dir, key+of) }

// record returns nil when there is none that can be used.
func (s *Store) record(key string) (*record, error) {
	file, err := os.OpenFile(s.path(key, recordFile), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, 2*maxConfig))
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil || r.Size <= 0 || r.Size > s.options.Size {
		return nil, nil
	}
	return &r, nil
}

// writeRecord replaces the record at once or not at all. The caller holds the lock of the making.
func (s *Store) writeRecord(ctx context.Context, key string, r *record) error {
	if len(r.Sources) > maxSources {
		r.Sources = r.Sources[len(r.Sources)-maxSources:]
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.inTemp(ctx, func(dir string) error {
		path := filepath.Join(dir, "record")
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, bytes.NewReader(raw))
		if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
		if err := os.Rename(path, s.path(key, recordFile)); err != nil {
			return err
		}
		return syncDir(s.options.Dir)
	})
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// tempPrefix begins the names of directories in which disks are made, and of their locks.
const tempPrefix = "tmp-"

// inTemp gives do a directory of its own, which is gone afterwards; the next New removes it when this process is killed.
func (s *Store) inTemp(ctx context.Context, do func(dir string) error) (err error) {
	dir := filepath.Join(s.options.Dir, tempPrefix+rand.Text())
	// Who sweeps may hold it for a moment.
	l, err := take(ctx, dir+lockFile, flock.Exclusive)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(dir), os.Remove(dir+lockFile), l.release())
	}()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return do(dir)
}
