package shelf

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
)

const (
	// justUsed keeps what was used a moment ago: somebody may be about to ask for it.
	justUsed = time.Minute
	// settled is how old a link without content must be to be swept: a tag is written before what it names is fetched.
	settled = time.Hour
)

// Mark is a level of the disk: Bytes of this mirror's content, or Percent of the file system in use as df counts it. None when both are 0.
type Mark struct {
	Percent float64
	Bytes   int64
}

// Disk is a file system's use, in bytes. What is reserved for root counts as neither.
type Disk struct{ Used, Free int64 }

// Limits say what is evicted.
type Limits struct {
	// MaxAge is how long content stays that nobody asks for; 0 means for ever.
	MaxAge time.Duration
	// Above High, the least recently used blobs go until Low is reached.
	High, Low Mark
	// Disk measures the file system; nil asks the kernel.
	Disk func() (Disk, error)
}

// Reason says why content was evicted.
type Reason string

// The reasons. Corrupt content is dropped by Drop's callers.
const (
	Age       Reason = "age"
	Watermark Reason = "watermark"
	Corrupt   Reason = "corrupt"
)

// Reasons are all of them.
var Reasons = []Reason{Age, Watermark, Corrupt}

// Evicted counts what an eviction took away, by reason, and what is left.
type Evicted struct {
	Blobs map[Reason]int64
	Bytes map[Reason]int64
	// Kept is what the mirror still holds, in bytes; Disk the file system's use after it.
	Kept int64
	Disk Disk
	// Short says that the high mark is still passed: all that is left is held, used just now, or not ours.
	Short bool
}

type item struct {
	digest digest.Digest
	size   int64
	used   time.Time
}

// Measure asks the kernel for the use of the shelf's file system.
func (s *Shelf) Measure() (Disk, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &stat); err != nil {
		return Disk{}, err
	}
	unit := int64(stat.Bsize)
	return Disk{Used: int64(stat.Blocks-stat.Bfree) * unit, Free: int64(stat.Bavail) * unit}, nil
}

// Full says at little cost that the file system is above a high mark in percent. A mark in bytes, or a disk that can't be measured, is Evict's.
func (s *Shelf) Full(limits Limits) bool {
	if limits.Disk == nil {
		limits.Disk = s.Measure
	}
	disk, err := limits.Disk()
	return err == nil && disk.above(limits.High)
}

func (d Disk) above(mark Mark) bool {
	return mark.Percent > 0 && float64(d.Used)*100 > mark.Percent*float64(d.Used+d.Free)
}

// Evict removes what is too old, then, above the high mark, the least recently used down to the low one. Manifests, which are small and
// without which blobs are of no use, go by age only. What is held stays.
func (s *Shelf) Evict(ctx context.Context, limits Limits) (Evicted, error) {
	if limits.Disk == nil {
		limits.Disk = s.Measure
	}
	result := Evicted{Blobs: make(map[Reason]int64), Bytes: make(map[Reason]int64)}
	items, err := s.items()
	if err != nil {
		return result, err
	}
	for _, item := range items {
		result.Kept += item.size
	}
	take := func(item item, reason Reason) error {
		gone, err := s.evict(item)
		if gone {
			result.Blobs[reason]++
			result.Bytes[reason] += item.size
			result.Kept -= item.size
		}
		return err
	}
	now := s.now()
	var young []item
	for _, item := range items {
		switch {
		case limits.MaxAge > 0 && now.Sub(item.used) > limits.MaxAge:
			err = errors.Join(err, take(item, Age))
		case now.Sub(item.used) >= justUsed:
			young = append(young, item)
		}
	}
	manifests, sweepErr := s.sweep()
	err = errors.Join(err, sweepErr)
	passed := func(mark Mark) bool {
		disk, diskErr := limits.Disk()
		err = errors.Join(err, diskErr)
		result.Disk = disk
		switch {
		case diskErr != nil:
			return false
		case mark.Bytes > 0:
			return result.Kept > mark.Bytes
		default:
			return disk.above(mark)
		}
	}
	if !passed(limits.High) {
		return result, err
	}
	for _, item := range young {
		if manifests[item.digest] {
			continue
		}
		if ctx.Err() != nil || !passed(limits.Low) {
			break
		}
		err = errors.Join(err, take(item, Watermark))
	}
	result.Short = passed(limits.High)
	return result, errors.Join(err, ctx.Err())
}

// items lists the blobs, the least recently used first.
func (s *Shelf) items() ([]item, error) {
	var items []item
	err := s.walk(blobs, func(name string, entry fs.DirEntry) error {
		d, ok := digestIn(name)
		if entry.IsDir() || path.Base(name) != "data" || !ok {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		items = append(items, item{d, info.Size(), info.ModTime()})
		return nil
	})
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(a.used.Compare(b.used), strings.Compare(string(a.digest), string(b.digest)))
	})
	return items, err
}

// evict removes a blob unless it is held or was used since it was listed.
func (s *Shelf) evict(item item) (gone bool, err error) {
	s.mu.Lock()
	info, err := s.root.Stat(data(item.digest))
	if s.held[item.digest] > 0 || err != nil || info.ModTime().After(item.used) {
		s.mu.Unlock()
		return false, nil
	}
	name, err := s.discard(item.digest)
	s.mu.Unlock()
	if err != nil || name == "" {
		return false, err
	}
	return true, s.root.RemoveAll(name)
}

// sweep removes links and tags whose content is gone, and returns the digests that are manifests.
func (s *Shelf) sweep() (map[digest.Digest]bool, error) {
	manifests := make(map[digest.Digest]bool)
	err := s.walk(repositories, func(name string, entry fs.DirEntry) error {
		if entry.IsDir() || path.Base(name) != "link" {
			return nil
		}
		d, ok := digestIn(name)
		remove := path.Dir(name)
		if tag := path.Dir(name); path.Base(tag) == "current" {
			text, err := s.root.ReadFile(name)
			if err != nil {
				return nil // gone meanwhile
			}
			d, remove = digest.Digest(text), path.Dir(tag)
			ok = d.Validate() == nil
		} else if strings.Contains(name, "/_manifests/") && ok {
			manifests[d] = true
		}
		if ok {
			if _, err := s.root.Stat(data(d)); err == nil {
				return nil
			}
		}
		if info, err := entry.Info(); err != nil || s.now().Sub(info.ModTime()) < settled {
			return nil
		}
		return s.root.RemoveAll(remove)
	})
	return manifests, err
}
