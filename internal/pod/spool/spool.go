// Package spool keeps what a step writes until somebody has read it, and longer: any reader can begin anywhere.
//
// A spool is a sequence of records: one byte for the stream, four for the length (big-endian), and that many bytes of output.
package spool

import (
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
)

// MaxRecord bounds the output in one record, in bytes.
const MaxRecord = 64 << 10

const headerSize = 5

// Spool is safe for concurrent use.
type Spool struct {
	file *os.File

	mu      sync.Mutex
	size    int64
	ended   bool
	changed chan struct{}
}

// Create makes an empty spool in a new file, which stays for as long as the process does.
func Create(path string) (*Spool, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &Spool{file: file, changed: make(chan struct{})}, nil
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
	record := append(binary.BigEndian.AppendUint32([]byte{stream}, uint32(len(output))), output...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errors.New("the step has ended")
	}
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

// End says that nothing more comes.
func (s *Spool) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		s.notify()
	}
}

// CopyTo writes the records from an offset on until the spool has ended, or ctx has, whose cause is the error then.
func (s *Spool) CopyTo(ctx context.Context, to io.Writer, offset int64) error {
	buffer := make([]byte, MaxRecord)
	for {
		s.mu.Lock()
		size, ended, changed := s.size, s.ended, s.changed
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
			return nil
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
}

// NewDecoder returns a decoder that hands on output to the writers of its stream.
func NewDecoder(stdout, stderr io.Writer) *Decoder { return &Decoder{stdout: stdout, stderr: stderr} }

// Offset is how many bytes were written to the decoder: where the next reader goes on.
func (d *Decoder) Offset() int64 { return d.offset }

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
	default:
		return n, fmt.Errorf("a record of stream %d, which there is not", stream)
	}
	d.left = length
	return n, nil
}
