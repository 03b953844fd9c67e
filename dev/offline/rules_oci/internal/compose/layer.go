package compose

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/jqjson"
	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// Layer is what manifest and configuration of an image say about a tar file. Describing one takes much longer than storing it, so it is
// done once for a file, whatever changes beside it.
type Layer struct {
	Digest v1.Hash `json:"digest"`
	Size   int64   `json:"size"` // bytes
	// DiffID is the digest of the file, unpacked.
	DiffID v1.Hash `json:"diffId"`
	// Compression is "gzip", "zstd" or empty for none.
	Compression string `json:"compression,omitempty"`
}

// Describe reads a tar file, compressed or not.
func Describe(tar io.Reader) (Layer, error) {
	unpacked, sum := newUnpacker(), sha256.New()
	size, err := io.Copy(io.MultiWriter(sum, unpacked), tar)
	diffID, compression, unpackErr := unpacked.finish(err)
	if err := errors.Join(err, unpackErr); err != nil {
		return Layer{}, err
	}
	return Layer{Digest: sha256Of(sum), Size: size, DiffID: diffID, Compression: compression}, nil
}

func sha256Of(sum hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
}

// addLayer stores a tar file as it is and lists it. Nothing is compressed: neither does the real rules_oci.
func (d draft) addLayer(w *ocidir.Writer, file LayerFile) error {
	if err := w.CopyFile(file.Path, v1.Descriptor{Digest: file.Layer.Digest, Size: file.Layer.Size}); err != nil {
		return err
	}
	mediaType, joint := "application/vnd.oci.image.layer.v1.tar", "+"
	if d.ofDocker() {
		mediaType, joint = "application/vnd.docker.image.rootfs.diff.tar", "."
	}
	if file.Layer.Compression != "" {
		mediaType += joint + file.Layer.Compression
	}
	appendTo(object(d.config, "rootfs"), "diff_ids", file.Layer.DiffID.String())
	appendTo(d.config, "history", jqjson.Of("created", epoch, "created_by", "bazel build "+file.Label))
	appendTo(d.manifest, "layers", jqjson.Of("size", file.Layer.Size, "digest", file.Layer.Digest.String(), "mediaType", mediaType))
	return nil
}

// unpacker finds the digest of what is written to it, unpacked. One goroutine unpacks; finish ends it.
type unpacker struct {
	*io.PipeWriter
	done        chan error
	diffID      v1.Hash
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
	u.diffID, u.compression = sha256Of(sum), compression
	// What follows the last frame is part of the file all the same.
	_, err = io.Copy(io.Discard, packed)
	return err
}

// finish returns the digest of the unpacked layer and the name of its compression, which is empty for none.
func (u *unpacker) finish(writeErr error) (diffID v1.Hash, compression string, err error) {
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
