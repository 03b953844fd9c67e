// Package owner keeps record of which executor made what on this host, so that the leftovers of an executor that was killed
// are found by their owner and never by a guess at a name.
//
// A living executor holds a Claim: a file in a state directory, locked for as long as the process lives, that lists the
// directories it made. The kernel drops the lock with the process, however that ends; a record whose lock is free
// belongs to nobody and is reaped by the next executor, exactly once (Sweep). Processes carry their owner's mark in the
// environment (Mark, KillMarked); what an engine holds, containers for example, carries it as a label.
package owner

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/flock"
)

// compactAbove is the journal's size in bytes from which it is cut down once nothing is tracked.
const compactAbove = 64 << 10

// held keeps every claim until its Close: the garbage collector closes the files of those that nobody refers to, and the lock
// would go with the file.
var held sync.Map

// Claim is a living executor's record. Safe for concurrent use.
type Claim struct {
	dir      string
	executor string
	path     string

	mu      sync.Mutex
	file    *os.File
	header  []byte
	size    int
	tracked map[string]int
	// unwritten holds lines that could not be written, because the disk was full for example.
	unwritten []byte
}

// Take makes the record of an executor in the state directory dir, which it makes when missing. Dir must be this user's own and
// closed to others, or an operator error says so. The name must be new: one claim per process.
func Take(dir string, record Record) (*Claim, error) {
	if err := checkName(record.Executor); err != nil {
		return nil, err
	}
	header, err := record.encode()
	if err != nil {
		return nil, err
	}
	if err := makeStateDir(dir); err != nil {
		return nil, err
	}
	// The record appears under its name only when it is locked and complete: one that others see unlocked is abandoned.
	making := filepath.Join(dir, makingPrefix+rand.Text())
	file, err := os.OpenFile(making, os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the owner record of %s: %w", record.Executor, err)
	}
	claim := &Claim{
		dir:      dir,
		executor: record.Executor,
		path:     filepath.Join(dir, record.Executor),
		file:     file,
		header:   header,
		size:     len(header),
		tracked:  map[string]int{},
	}
	if err := claim.publish(making); err != nil {
		return nil, errors.Join(fmt.Errorf("making the owner record of %s: %w", record.Executor, err), os.Remove(making), file.Close())
	}
	held.Store(claim, true)
	return claim, nil
}

func (c *Claim) publish(making string) error {
	if err := flock.Try(c.file, flock.Exclusive); err != nil {
		return err
	}
	if _, err := c.file.Write(c.header); err != nil {
		return err
	}
	if _, err := os.Lstat(c.path); err == nil {
		return fmt.Errorf("there is one already: %s", c.path)
	}
	return os.Rename(making, c.path)
}

// Executor is the name of the executor.
func (c *Claim) Executor() string { return c.executor }

// Sweep is the function Sweep on the directory in which the claim's record lies.
func (c *Claim) Sweep(ctx context.Context, engine Engine) (int, error) {
	return Sweep(ctx, c.dir, engine)
}

// Track records that path, a directory right below one of the record's parents, is this executor's. It is called before path is
// made. The function it returns takes the record back; call it when path is gone. It may be called more than once.
func (c *Claim) Track(path string) (release func()) {
	path = filepath.Clean(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracked[path]++
	c.append(entry{Track: path})
	return sync.OnceFunc(func() { c.release(path) })
}

func (c *Claim) release(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tracked[path]--; c.tracked[path] > 0 {
		return
	}
	delete(c.tracked, path)
	if len(c.tracked) == 0 && c.size > compactAbove && c.file.Truncate(int64(len(c.header))) == nil {
		c.size, c.unwritten = len(c.header), nil
		return
	}
	c.append(entry{Release: path})
}

// append writes a line. What can't be written now is written with the next line, after a line break that ends the torn one.
func (c *Claim) append(line entry) {
	if c.file == nil {
		return
	}
	pending := append(c.unwritten, line.encode()...)
	n, err := c.file.Write(pending)
	c.size += n
	c.unwritten = nil
	if err != nil {
		c.unwritten = append([]byte("\n"), pending...)
	}
}

// Close ends the claim. The record goes with it unless something is still tracked: then it stays for a later Sweep.
func (c *Claim) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return nil
	}
	held.Delete(c)
	var err error
	if len(c.tracked) == 0 {
		err = os.Remove(c.path)
	}
	err = errors.Join(err, flock.Release(c.file))
	c.file = nil
	return err
}

func checkName(name string) error {
	if name == "" || len(name) > 200 || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00\n") {
		return fault.Operatorf("executor name %q can't name a file: it has to be 1 to 200 bytes without \"/\" and not begin with \".\"", name)
	}
	return nil
}
