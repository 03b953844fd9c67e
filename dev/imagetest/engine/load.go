package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// repository is that of images that are loaded here; the run is their tag.
const repository = "open-executor.invalid/imagetest"

// maxDocument bounds manifest.json and the image's configuration.
const maxDocument = 4 << 20

// Load loads the one image of an archive of "docker save" or oci_load and returns its name. It gets a name of its own: the names in the
// archive, and the images that they may already stand for, are left alone. An image that the engine already has is not loaded again.
func (e *Engine) Load(ctx context.Context, file string) (image string, err error) {
	archive, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = archive.Close() }()
	manifest, err := readManifest(archive)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	id, err := configID(archive, manifest.config())
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	// Engines of the containerd kind have other ids: they load it again, which does no harm.
	_, err = e.api.ImageInspect(ctx, id)
	if err == nil {
		return id, nil
	}
	if !errdefs.IsNotFound(err) {
		return "", fmt.Errorf("looking for image %s: %w", id, err)
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	image = repository + ":" + e.run
	e.made = append(e.made, image)
	if err := e.load(ctx, archive, manifest.named(image)); err != nil {
		return "", fmt.Errorf("loading %s: %w", file, err)
	}
	return image, nil
}

// load sends the archive with another manifest to the engine.
func (e *Engine) load(ctx context.Context, archive io.Reader, manifest []byte) error {
	r, w := io.Pipe()
	copied := make(chan error, 1)
	go func() {
		err := rename(w, archive, manifest)
		_ = w.CloseWithError(err)
		copied <- err
	}()
	// Only the archive is cut off: then the engine fails, or is done, and says which.
	defer context.AfterFunc(ctx, func() { _ = r.CloseWithError(context.Cause(ctx)) })()
	long, cancel := lasting(ctx)
	defer cancel()
	err := e.send(long, r)
	// The copying ends now in any case, and is waited for.
	_ = r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	if copyErr := <-copied; copyErr != nil && !errors.Is(copyErr, io.ErrClosedPipe) {
		return copyErr
	}
	return err
}

// send loads an archive. The engine answers 200 before it is done, and tells failures in what follows.
func (e *Engine) send(ctx context.Context, archive io.Reader) error {
	answer, err := e.api.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(true))
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }()
	messages := json.NewDecoder(answer)
	for {
		var message struct {
			Error string `json:"error"`
		}
		switch err := messages.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the engine's answer: %w", err)
		case message.Error != "":
			return errors.New(message.Error)
		}
	}
}

// manifest is the manifest.json of an archive, of which only the names are changed.
type manifest []map[string]any

func (m manifest) config() string {
	config, _ := m[0]["Config"].(string)
	return config
}

func (m manifest) named(name string) []byte {
	m[0]["RepoTags"] = []string{name}
	text, _ := json.Marshal(m) // it has just been read as JSON
	return text
}

// readDocument returns a small file of an archive, in which it may stand anywhere.
func readDocument(archive io.ReadSeeker, name string) ([]byte, error) {
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	entries := tar.NewReader(archive)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("no archive of an image: there is no %s in it", name)
		}
		if err != nil {
			return nil, fmt.Errorf("no archive of an image: %w", err)
		}
		if path.Clean(header.Name) != path.Clean(name) {
			continue
		}
		if header.Size > maxDocument {
			return nil, fmt.Errorf("%s has %d bytes, more than %d", name, header.Size, maxDocument)
		}
		return io.ReadAll(entries)
	}
}

func readManifest(archive io.ReadSeeker) (manifest, error) {
	text, err := readDocument(archive, "manifest.json")
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if len(m) != 1 || m[0] == nil {
		return nil, fmt.Errorf("there are %d images in the archive instead of one", len(m))
	}
	return m, nil
}

// configID returns the image's id, which is the digest of its configuration. What the file is called proves nothing.
func configID(archive io.ReadSeeker, config string) (string, error) {
	text, err := readDocument(archive, config)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// elsewhere are files in which an archive may name its image a second time.
var elsewhere = map[string]bool{"index.json": true, "oci-layout": true, "repositories": true}

// rename copies an archive with another manifest.json.
func rename(to io.Writer, archive io.Reader, manifest []byte) error {
	in, out := tar.NewReader(archive), tar.NewWriter(to)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return err
		}
		name, content := path.Clean(header.Name), io.Reader(in)
		if elsewhere[name] {
			continue
		}
		if name == "manifest.json" {
			header.Size, content = int64(len(manifest)), bytes.NewReader(manifest)
		}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.Copy(out, content); err != nil {
			return err
		}
	}
}
