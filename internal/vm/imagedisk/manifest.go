package imagedisk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/open-executor/executor/internal/fault"
)

// Bounds of what describes an image, in bytes, and of indexes in indexes.
const (
	maxManifest = 4 << 20
	maxConfig   = 8 << 20
	maxIndexes  = 3
)

// blobs is where an image's parts come from. Safe for concurrent use.
type blobs interface {
	// manifest returns the manifest or index with that digest, which was checked.
	manifest(ctx context.Context, digest v1.Hash) ([]byte, error)
	// blob opens a blob. When it was read to its end, its digest was checked. Reading ends with ctx.
	blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error)
}

// document is a manifest or an index.
type document struct {
	Manifests []v1.Descriptor `json:"manifests"`
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
}

func parseDocument(raw []byte) (document, error) {
	var d document
	if len(raw) > maxManifest {
		return d, fault.Userf("its manifest measures %d bytes, %d are allowed", len(raw), maxManifest)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return d, fault.Userf("its manifest is no JSON of an image: %w", err)
	}
	switch {
	case d.Manifests != nil && (d.Config != nil || d.Layers != nil):
		return d, fault.Userf("its manifest is one of an image and of an index at once")
	case d.Manifests == nil && d.Config == nil:
		return d, fault.Userf("its manifest is in an old or unknown format: schema 2 of Docker, or OCI, is needed")
	}
	return d, nil
}

// choose returns the digest of the image for the platform below an index, and its manifest when it had to be read.
func choose(ctx context.Context, from blobs, digest v1.Hash, raw []byte, platform v1.Platform) (v1.Hash, []byte, error) {
	for range maxIndexes {
		d, err := parseDocument(raw)
		if err != nil {
			return v1.Hash{}, nil, err
		}
		if d.Manifests == nil {
			return digest, raw, nil
		}
		child, err := pick(d.Manifests, platform)
		if err != nil {
			return v1.Hash{}, nil, err
		}
		digest = child.Digest
		if raw, err = from.manifest(ctx, digest); err != nil {
			return v1.Hash{}, nil, &pullError{err}
		}
	}
	return v1.Hash{}, nil, fault.Userf("it is an index of indexes, more than %d deep", maxIndexes)
}

// pick returns the entry of an index for the platform. One that says nothing about platforms suits all.
func pick(entries []v1.Descriptor, platform v1.Platform) (v1.Descriptor, error) {
	var has []string
	for _, entry := range entries {
		if entry.Platform == nil || entry.Platform.Satisfies(platform) {
			return entry, nil
		}
		has = append(has, entry.Platform.String())
	}
	return v1.Descriptor{}, fault.Userf("it has nothing for %s, only for %s", platform, shorten(fmt.Sprint(has)))
}

// image is what a disk is made of.
type image struct {
	config v1.ConfigFile
	layers []layer
}

// opener opens blobs of a source that may fall silent.
type opener struct {
	from    blobs
	silence time.Duration
}

// image reads the configuration and checks what the manifest says.
func (o opener) image(ctx context.Context, raw []byte, platform v1.Platform, limits Limits) (*image, error) {
	d, err := parseDocument(raw)
	if err != nil {
		return nil, err
	}
	if d.Config == nil {
		return nil, fault.Userf("its manifest is one of an index")
	}
	if d.Config.Size > maxConfig {
		return nil, fault.Userf("its configuration measures %d bytes, %d are allowed", d.Config.Size, maxConfig)
	}
	config, err := o.config(ctx, *d.Config)
	if err != nil {
		return nil, err
	}
	if of := (v1.Platform{OS: config.OS, Architecture: config.Architecture}); !platform.Satisfies(of) {
		return nil, fault.Userf("it is for %s, and this host runs %s", of, platform)
	}
	if len(config.RootFS.DiffIDs) != len(d.Layers) {
		return nil, fault.Userf("its manifest has %d layers, its configuration %d", len(d.Layers), len(config.RootFS.DiffIDs))
	}
	i := &image{config: config}
	for n, l := range d.Layers {
		if len(l.URLs) > 0 {
			return nil, fault.Userf("layer %d lies on another server than its registry; such are not fetched", n+1)
		}
		if l.Size > limits.Bytes {
			return nil, fault.Userf("layer %d measures %d bytes, %d are allowed", n+1, l.Size, limits.Bytes)
		}
		open := func() (io.ReadCloser, error) { return o.open(ctx, l) }
		i.layers = append(i.layers, layer{digest: l.Digest.String(), diffID: config.RootFS.DiffIDs[n].String(), open: open})
	}
	return i, nil
}

func (o opener) config(ctx context.Context, of v1.Descriptor) (v1.ConfigFile, error) {
	blob, err := o.open(ctx, of)
	if err != nil {
		return v1.ConfigFile{}, &pullError{err}
	}
	defer blob.Close()
	raw, err := io.ReadAll(blob)
	if err != nil {
		return v1.ConfigFile{}, &pullError{err}
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(raw))
	if err != nil {
		return v1.ConfigFile{}, fault.Userf("its configuration: %w", err)
	}
	return *config, nil
}

// open opens a blob of at most the size that its descriptor says. Reading it fails when nothing comes for too long.
func (o opener) open(ctx context.Context, of v1.Descriptor) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(o.silence, func() { cancel(fmt.Errorf("blob %s: nothing came for %s", of.Digest, o.silence)) })
	opened, err := o.from.blob(ctx, of.Digest)
	if err != nil {
		timer.Stop()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		cancel(nil)
		return nil, err
	}
	return &openedBlob{ReadCloser: opened, ctx: ctx, cancel: cancel, timer: timer, silence: o.silence, of: of}, nil
}

type openedBlob struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	silence time.Duration
	of      v1.Descriptor
	read    int64
}

func (b *openedBlob) Read(p []byte) (int, error) {
	b.timer.Reset(b.silence)
	n, err := b.ReadCloser.Read(p)
	if b.read += int64(n); b.read > b.of.Size {
		return 0, fmt.Errorf("blob %s is larger than the %d bytes that the manifest says", b.of.Digest, b.of.Size)
	}
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *openedBlob) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}
