// Package spool keeps what a step writes until somebody has read it, and longer: any reader can begin anywhere.
//
// A spool is a sequence of records: one byte for the stream, four for the length (big-endian), and that many bytes of output. One that has had too much ends
// with how much that was: eight bytes, big-endian.
package spool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Streams of a step.
const (
	Stdout byte = 'o'
	Stderr byte = 'e'
	// dropped is the record of what was too much.
	dropped byte = 'd'
)

// MaxRecord bounds the output in one record, in bytes.
const MaxRecord = 64 << 10

// MaxSize bounds a spool, in bytes: a step's output must not fill its node's disk. An entry of the log takes less (steplog.Options.MaxEntryBytes).
const MaxSize = 192 << 20

const (
	headerSize = 5
	countSize  = 8
)

// Spool is safe for concurrent use.
type Spool struct {
	file *os.File
	// limit bounds size.
	limit int64

	mu    sync.Mutex
	size  int64
	ended bool
	// dropped is how much output was too much, in bytes.
	dropped int64
	// failed is why that could not be written, which readers hear at the end.
	failed  error
	changed chan struct{}
}

// Create makes an empty spool in a new file, which stays for as long as the process does.
func Create(path string) (*Spool, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &Spool{file: file, limit: MaxSize, changed: make(chan struct{})}, nil
}

// Stream returns a writer whose bytes become records of that stream.
func (s *Spool) Stream(name byte) io.Writer { return stream{s, name} }

type stream struct {
	spool *Spool
	name  byte
}

func (w stream) Write(p []byte) (int, error) {
	for written := 0; written < len(p); {
		piece := p[written:min(len(p), written+MaxRecord)]
		if err := w.spool.add(w.name, piece); err != nil {
			return written, err
		}
		written += len(piece)
	}
	return len(p), nil
}

func (s *Spool) add(stream byte, output []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errors.New("the step has ended")
	}
	if s.dropped > 0 || s.size+headerSize+int64(len(output)) > s.limit {
		s.dropped += int64(len(output))
		return nil
	}
	return s.append(stream, output)
}

// append writes a record. The caller holds the lock.
func (s *Spool) append(stream byte, content []byte) error {
	record := append(binary.BigEndian.AppendUint32([]byte{stream}, uint32(len(content))), content...)
	if _, err := s.file.WriteAt(record, s.size); err != nil {
		return err
	}
	s.size += int64(len(record))
	s.notify()
	return nil
}

// notify wakes readers. The caller holds the lock.
func (s *Spool) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Size is how many bytes of records there are.
func (s *Spool) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// End says that nothing more comes.
func (s *Spool) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	if s.dropped > 0 {
		s.failed = s.append(dropped, binary.BigEndian.AppendUint64(nil, uint64(s.dropped)))
	}
	s.ended = true
	s.notify()
}

// CopyTo writes the records from an offset on until the spool has ended, or ctx has, whose cause is the error then.
func (s *Spool) CopyTo(ctx context.Context, to io.Writer, offset int64) error {
	buffer := make([]byte, MaxRecord)
	for {
		s.mu.Lock()
		size, ended, failed, changed := s.size, s.ended, s.failed, s.changed
		s.mu.Unlock()
		if offset < 0 || offset > size {
			return fmt.Errorf("there is no byte %d in %d bytes of output", offset, size)
		}
		switch {
		case offset < size:
			n, err := s.file.ReadAt(buffer[:min(int64(len(buffer)), size-offset)], offset)
			if err != nil {
				return err
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
			offset += int64(n)
			continue
		case ended:
			return failed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Decoder takes records apart, whichever pieces they come in. It counts what it has taken.
type Decoder struct {
	stdout, stderr io.Writer
	header         []byte
	left           uint32
	to             io.Writer
	offset         int64
	dropped        bytes.Buffer
}

// NewDecoder returns a decoder that hands on output to the writers of its stream.
func NewDecoder(stdout, stderr io.Writer) *Decoder { return &Decoder{stdout: stdout, stderr: stderr} }

// Offset is how many bytes were written to the decoder: where the next reader goes on.
func (d *Decoder) Offset() int64 { return d.offset }

// Dropped is how many bytes of output the spool did not keep, once all of it was written.
func (d *Decoder) Dropped() int64 {
	if d.dropped.Len() != countSize {
		return 0
	}
	return int64(binary.BigEndian.Uint64(d.dropped.Bytes()))
}

// Write takes the next bytes of a spool. The error is the writers', or tells of bytes that are no spool's.
func (d *Decoder) Write(p []byte) (int, error) {
	taken := 0
	for taken < len(p) {
		n, err := d.take(p[taken:])
		taken += n
		d.offset += int64(n)
		if err != nil {
			return taken, err
		}
	}
	return taken, nil
}

func (d *Decoder) take(p []byte) (int, error) {
	if d.left > 0 {
		n := min(len(p), int(d.left))
		d.left -= uint32(n)
		_, err := d.to.Write(p[:n])
		return n, err
	}
	n := min(len(p), headerSize-len(d.header))
	d.header = append(d.header, p[:n]...)
	if len(d.header) < headerSize {
		return n, nil
	}
	stream, length := d.header[0], binary.BigEndian.Uint32(d.header[1:])
	d.header = d.header[:0]
	switch {
	case length > MaxRecord:
		return n, fmt.Errorf("a record of %d bytes: at most %d are allowed", length, MaxRecord)
	case stream == Stdout:
		d.to = d.stdout
	case stream == Stderr:
		d.to = d.stderr
	case stream == dropped && length == countSize && d.dropped.Len() == 0:
		d.to = &d.dropped
	default:
		return n, fmt.Errorf("a record of stream %d, which there is not", stream)
	}
	d.left = length
	return n, nil
}
