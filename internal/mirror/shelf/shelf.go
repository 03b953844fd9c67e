// Package shelf keeps what a mirror has cached, in the layout of the CNCF distribution's filesystem driver: it knows what is there and whole,
// when it was last used, and takes the least recently used away.
package shelf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/flock"
)

const (
	base         = "docker/registry/v2"
	blobs        = base + "/blobs"
	repositories = base + "/repositories"
	trash        = "trash"
	lockFile     = "lock"
	// verifyAgain is how long a blob that was found whole counts as that: a disk can lose bits without telling.
	verifyAgain = time.Hour
)

// Shelf is one mirror's data directory. Safe for concurrent use; one process has it at a time.
type Shelf struct {
	dir  string
	root *os.Root
	lock *os.File
	now  func() time.Time

	mu    sync.Mutex
	held  map[digest.Digest]int
	whole map[digest.Digest]proof
	// discarded numbers names in the trash.
	discarded atomic.Int64
}

// proof is what a blob's file was like when its content was found to be right.
type proof struct {
	size     int64
	modified time.Time
	at       time.Time
}

// Open takes a directory, makes it if need be (never its parent: where the disk is not mounted there is none) and removes what a process that died has left half done. The clock is time.Now when nil.
func Open(dir string, now func() time.Time) (*Shelf, error) {
	if now == nil {
		now = time.Now
	}
	if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fault.Operatorf("data directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Operatorf("data directory: %w", err)
	}
	s := &Shelf{dir: dir, root: root, now: now, held: make(map[digest.Digest]int), whole: make(map[digest.Digest]proof)}
	if s.lock, err = root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		err = flock.Try(s.lock, flock.Exclusive)
	}
	if errors.Is(err, flock.ErrHeld) {
		err = fault.Operatorf("data directory %s: another registry-mirror uses it", dir)
	}
	if err == nil {
		err = s.tidy()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close gives the directory up.
func (s *Shelf) Close() error {
	err := s.root.Close()
	if s.lock != nil {
		err = errors.Join(err, flock.Release(s.lock))
	}
	return err
}

// Writable says what keeps the directory from being written to, nil when nothing does.
func (s *Shelf) Writable() error {
	name := fmt.Sprintf("%s/written-%d", trash, s.discarded.Add(1))
	return errors.Join(s.root.WriteFile(name, []byte("still works\n"), 0o600), s.root.Remove(name))
}

// tidy removes uploads that were never finished, and what was being removed.
func (s *Shelf) tidy() error {
	if err := s.root.RemoveAll(trash); err != nil {
		return err
	}
	if err := s.root.MkdirAll(trash, 0o750); err != nil {
		return err
	}
	return s.walk(repositories, func(name string, entry fs.DirEntry) error {
		if entry.IsDir() && path.Base(name) == "_uploads" {
			if err := s.root.RemoveAll(name); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return nil
	})
}

// ClearUploads removes a repository's uploads. The caller knows that nobody writes one.
func (s *Shelf) ClearUploads(repository string) error {
	return s.root.RemoveAll(path.Join(repositories, repository, "_uploads"))
}

// walk visits what is under a directory, which need not exist. What vanishes meanwhile is passed over.
func (s *Shelf) walk(under string, visit func(name string, entry fs.DirEntry) error) error {
	return fs.WalkDir(s.root.FS(), under, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return visit(name, entry)
	})
}

func folder(d digest.Digest) string {
	hex := d.Encoded()
	return path.Join(blobs, d.Algorithm().String(), hex[:2], hex)
}

func data(d digest.Digest) string { return folder(d) + "/data" }

// Has says whether a repository has a blob. The repository's name must be valid.
func (s *Shelf) Has(repository string, d digest.Digest) bool {
	if _, err := s.root.Stat(path.Join(repositories, repository, "_layers", d.Algorithm().String(), d.Encoded(), "link")); err != nil {
		return false
	}
	_, err := s.root.Stat(data(d))
	return err == nil
}

// Proven says without reading it that a blob was found to be whole a short time ago and was not changed since.
func (s *Shelf) Proven(d digest.Digest) bool {
	info, err := s.root.Stat(data(d))
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	proof, ok := s.whole[d]
	return ok && proof.size == info.Size() && proof.modified.Equal(info.ModTime()) && s.now().Sub(proof.at) < verifyAgain
}

// Verify reads a blob and says whether its bytes are those of its digest. A blob that isn't there is not whole.
func (s *Shelf) Verify(ctx context.Context, d digest.Digest) (bool, error) {
	if s.Proven(d) {
		return true, nil
	}
	file, err := s.root.Open(data(d))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	verifier := d.Verifier()
	if _, err := io.Copy(verifier, reader{ctx, file}); err != nil {
		return false, err
	}
	if !verifier.Verified() {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whole[d] = proof{info.Size(), info.ModTime(), s.now()}
	return true, nil
}

// reader ends reading with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(buffer []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(buffer)
}

// Use notes that a blob is used now. Its file's time says so, which needs no other record and outlives the process.
func (s *Shelf) Use(d digest.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if err := s.root.Chtimes(data(d), now, now); err != nil {
		return err
	}
	if proof, ok := s.whole[d]; ok {
		info, err := s.root.Stat(data(d))
		if err != nil {
			return err
		}
		proof.modified = info.ModTime()
		s.whole[d] = proof
	}
	return nil
}

// Hold keeps a blob from being evicted until release is called. The blob need not be there yet.
func (s *Shelf) Hold(d digest.Digest) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[d]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held[d]--; s.held[d] == 0 {
			delete(s.held, d)
		}
	}
}

// Drop removes a blob that is not what it should be, held or not. Whoever reads it keeps the file that is open.
func (s *Shelf) Drop(d digest.Digest) error {
	s.mu.Lock()
	name, err := s.discard(d)
	s.mu.Unlock()
	if err != nil || name == "" {
		return err
	}
	return s.root.RemoveAll(name)
}

// discard takes a blob away at once, so that nobody ever finds half of it, and returns what is to be deleted. The caller holds mu.
func (s *Shelf) discard(d digest.Digest) (string, error) {
	delete(s.whole, d)
	name := fmt.Sprintf("%s/%s-%d", trash, d.Encoded(), s.discarded.Add(1))
	err := s.root.Rename(folder(d), name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return name, err
}

// digestIn reads the digest that a path of blobs or links is about: …/<algorithm>/[<two digits>/]<hex>/<file>.
func digestIn(name string) (digest.Digest, bool) {
	parts := strings.Split(path.Dir(name), "/")
	if len(parts) < 3 {
		return "", false
	}
	hex, algorithm := parts[len(parts)-1], parts[len(parts)-2]
	if len(algorithm) == 2 {
		algorithm = parts[len(parts)-3]
	}
	d := digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex)
	return d, d.Validate() == nil
}
