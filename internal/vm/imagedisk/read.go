package imagedisk

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a zstd stream may ask for; its format recommends to support 8 MiB.
const maxWindow = 128 << 20

// source reads what comes from elsewhere, and remembers the error that ended it.
type source struct {
	ctx  context.Context
	from io.Reader
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
		return 0, s.err
	}
	n, err := s.from.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
		if s.ctx.Err() != nil {
			s.err = context.Cause(s.ctx)
		}
	}
	return n, err
}

// meter refuses to read more than limit bytes in all.
type meter struct {
	from  io.Reader
	used  *int64
	limit int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	if *m.used += int64(n); *m.used > m.limit {
		return 0, fmt.Errorf("the image's layers measure more than %d bytes uncompressed", m.limit)
	}
	return n, err
}

// decompress undoes gzip and zstd, by their first bytes: media types are not always right.
func decompress(from io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(from, 64<<10)
	// An archive shorter than this is none of both; reading on tells what it is, or why it couldn't be read.
	magic, _ := buffered.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(buffered)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		decoder, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	}
	return io.NopCloser(buffered), nil
}
