package ocidir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

type verifier struct {
	io.ReadCloser
	want v1.Descriptor
	sum  hash.Hash
	seen int64
}

func verify(r io.ReadCloser, want v1.Descriptor) io.ReadCloser {
	return &verifier{ReadCloser: r, want: want, sum: sha256.New()}
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.sum.Write(p[:n])
	v.seen += int64(n)
	if v.seen > v.want.Size {
		return 0, fmt.Errorf("blob %s is longer than the %d bytes that its descriptor says", v.want.Digest, v.want.Size)
	}
	if errors.Is(err, io.EOF) {
		if v.seen != v.want.Size {
			return n, fmt.Errorf("blob %s has %d bytes, its descriptor says %d", v.want.Digest, v.seen, v.want.Size)
		}
		if sum := hex.EncodeToString(v.sum.Sum(nil)); sum != v.want.Digest.Hex {
			return n, fmt.Errorf("blob %s holds something else: its digest is sha256:%s", v.want.Digest, sum)
		}
	}
	return n, err
}
