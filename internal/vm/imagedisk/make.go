package imagedisk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/flock"
)

// errDamaged says that a disk has to be made again.
var errDamaged = errors.New("the disk is damaged")

// ensure makes the disk when it is missing or damaged, and sees to it that its source has proved to have the image. One process does so
// at a time for a disk; those who use it are not in the way.
func (s *Store) ensure(ctx context.Context, key string, w wanted) (err error) {
	making, err := take(ctx, s.path(key, makingFile), flock.Exclusive)
	if err != nil {
		return err
	}
	defer func() {
		if _, statErr := os.Lstat(s.path(key, recordFile)); errors.Is(statErr, fs.ErrNotExist) {
			err = errors.Join(err, os.Remove(s.path(key, makingFile)))
		}
		err = errors.Join(err, making.release())
	}()
	known, err := s.record(key)
	if err != nil {
		return err
	}
	if known != nil {
		err = s.check(ctx, key, known)
	}
	if known == nil || errors.Is(err, errDamaged) {
		if err := s.make(ctx, key, w); err != nil {
			return err
		}
		return s.evict(key)
	}
	if err != nil || slices.Contains(known.Sources, w.source) {
		return err
	}
	if err := s.prove(ctx, w); err != nil {
		return err
	}
	known.Sources = append(known.Sources, w.source)
	return s.writeRecord(ctx, key, known)
}

// check compares the file's content with its record, unless this process has done so before.
func (s *Store) check(ctx context.Context, key string, known *record) error {
	file, err := os.OpenFile(s.path(key, diskFile), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return errDamaged
	}
	if err != nil {
		return err
	}
	defer file.Close()
	now, err := identify(file)
	if err != nil || s.isChecked(key, now) {
		return err
	}
	if now.size != s.options.Size {
		return errDamaged
	}
	sum, err := digest(ctx, file, known.Size)
	if errors.Is(err, syscall.EIO) || err == nil && sum != known.SHA256 {
		return errDamaged
	}
	if err == nil {
		s.setChecked(key, now)
	}
	return err
}

// digest returns the SHA-256 of a file's first bytes.
func digest(ctx context.Context, file *os.File, size int64) (string, error) {
	hash := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{hash}, &source{ctx: ctx, from: io.NewSectionReader(file, 0, size)}, make([]byte, 1<<20))
	if err == nil && n != size {
		err = fmt.Errorf("%s ends after %d of %d bytes", file.Name(), n, size)
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

// prove reads all of the image from its source.
func (s *Store) prove(ctx context.Context, w wanted) error {
	image, err := s.image(ctx, w)
	if err != nil {
		return err
	}
	for _, l := range image.layers {
		blob, err := l.open()
		if err == nil {
			_, err = io.Copy(io.Discard, blob)
			err = errors.Join(err, blob.Close())
		}
		if err != nil {
			return &pullError{err}
		}
	}
	return nil
}

func (s *Store) image(ctx context.Context, w wanted) (*image, error) {
	raw := w.raw
	if raw == nil {
		var err error
		if raw, err = w.from.manifest(ctx, w.digest); err != nil {
			return nil, &pullError{err}
		}
	}
	return opener{w.from, s.options.Silence}.image(ctx, raw, s.options.Platform, s.options.Limits)
}

// make pulls the image and puts its disk and record in their places.
func (s *Store) make(ctx context.Context, key string, w wanted) error {
	image, err := s.image(ctx, w)
	if err != nil {
		return err
	}
	return s.inTemp(ctx, func(dir string) error {
		err := s.makeIn(ctx, dir, key, w, image)
		var pull *pullError
		if err == nil || ctx.Err() != nil || errors.As(err, &pull) || fault.ClassOf(err) == fault.User {
			return err
		}
		return withSpace(s.options.Dir, fmt.Errorf("making its disk: %w", err))
	})
}

func (s *Store) makeIn(ctx context.Context, dir, key string, w wanted, image *image) error {
	tree, spool, err := s.unpack(ctx, image, filepath.Join(dir, "files"))
	if spool != nil {
		defer spool.Close()
	}
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "disk")
	if err := s.squash(ctx, tree, spool, path); err != nil {
		return err
	}
	r := &record{Digest: w.digest.String(), Sources: []string{w.source}, Config: image.config.Config}
	return s.publish(ctx, key, path, r)
}

func (s *Store) unpack(ctx context.Context, from *image, path string) (*tree, *os.File, error) {
	spool, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, err
	}
	tree, err := flatten(ctx, from.layers, spool, s.options.Limits)
	return tree, spool, err
}

// squash has the file system made of what is written to it at the same time.
func (s *Store) squash(ctx context.Context, t *tree, spool io.ReaderAt, path string) error {
	reader, writer := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := t.write(ctx, writer, spool)
		writer.CloseWithError(err)
		written <- err
	}()
	err := s.options.Make(ctx, reader, path)
	if err == nil {
		// The maker may leave the zeros at the end.
		_, err = io.Copy(io.Discard, reader)
	}
	reader.CloseWithError(io.ErrClosedPipe)
	writeErr := <-written
	if err == nil || writeErr != nil && !errors.Is(writeErr, io.ErrClosedPipe) {
		// What the maker says to the end of its input is a consequence.
		return writeErr
	}
	return err
}

// publish puts a file that is complete in its place: first the disk, then the record without which it doesn't count.
func (s *Store) publish(ctx context.Context, key, path string, r *record) error {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if r.Size = info.Size(); r.Size > s.options.Size {
		return fault.Userf("its disk measures %d bytes, %d are allowed", r.Size, s.options.Size)
	}
	if r.SHA256, err = digest(ctx, file, r.Size); err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(s.options.Size), file.Chmod(0o444), file.Sync()); err != nil {
		return err
	}
	if err := s.remove(key); err != nil {
		return err
	}
	if err := os.Rename(path, s.path(key, diskFile)); err != nil {
		return err
	}
	if err := s.writeRecord(ctx, key, r); err != nil {
		return err
	}
	now, err := identify(file)
	if err == nil {
		s.setChecked(key, now)
	}
	return err
}

// remove removes a disk, its record first. The caller holds the lock of the making.
func (s *Store) remove(key string) error {
	s.mu.Lock()
	delete(s.checked, key)
	s.mu.Unlock()
	for _, of := range []string{recordFile, diskFile} {
		if err := os.Remove(s.path(key, of)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
