package compose

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/jqjson"
	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// addLayer stores a tar file as it is and lists it. Nothing is compressed: neither does the real rules_oci.
func (d draft) addLayer(w *ocidir.Writer, file LayerFile) error {
	tar, err := os.Open(file.Path)
	if err != nil {
		return err
	}
	defer func() { _ = tar.Close() }()

	unpacked := newUnpacker()
	stored, err := w.Put(io.TeeReader(tar, unpacked))
	diffID, compression, unpackErr := unpacked.finish(err)
	if err := errors.Join(err, unpackErr); err != nil {
		return err
	}
	mediaType, joint := "application/vnd.oci.image.layer.v1.tar", "+"
	if d.ofDocker() {
		mediaType, joint = "application/vnd.docker.image.rootfs.diff.tar", "."
	}
	if compression != "" {
		mediaType += joint + compression
	}
	appendTo(object(d.config, "rootfs"), "diff_ids", diffID)
	appendTo(d.config, "history", jqjson.Of("created", epoch, "created_by", "bazel build "+file.Label))
	appendTo(d.manifest, "layers", jqjson.Of("size", stored.Size, "digest", stored.Digest.String(), "mediaType", mediaType))
	return nil
}

// unpacker finds the digest of what is written to it, unpacked. One goroutine unpacks; finish ends it.
type unpacker struct {
	*io.PipeWriter
	done        chan error
	diffID      string
	compression string
}

func newUnpacker() *unpacker {
	r, w := io.Pipe()
	u := &unpacker{PipeWriter: w, done: make(chan error, 1)}
	go func() {
		err := u.unpack(r)
		// The writer must not wait for a reader that is gone.
		_ = r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		u.done <- err
	}()
	return u
}

func (u *unpacker) unpack(packed io.Reader) error {
	plain, compression, err := decompress(packed)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, plain); err != nil {
		return fmt.Errorf("unpacking %s: %w", compression, err)
	}
	u.diffID, u.compression = "sha256:"+hex.EncodeToString(sum.Sum(nil)), compression
	// What follows the last frame is part of the file all the same.
	_, err = io.Copy(io.Discard, packed)
	return err
}

// finish returns the digest of the unpacked layer and the name of its compression, which is empty for none.
func (u *unpacker) finish(writeErr error) (diffID, compression string, err error) {
	_ = u.CloseWithError(writeErr)
	err = <-u.done
	return u.diffID, u.compression, err
}

// decompress tells compressions apart by their first bytes, as rules_oci does; a file's name says nothing.
func decompress(packed io.Reader) (plain io.Reader, compression string, err error) {
	buffered := bufio.NewReader(packed)
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		plain, err = gzip.NewReader(buffered)
		return plain, "gzip", err
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		decoder, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, "", err
		}
		return decoder.IOReadCloser(), "zstd", nil
	default:
		return buffered, "", nil
	}
}
