package imagedisk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// piece is an entry of a test's layer, in short.
type piece struct {
	name, content, link string
	typeflag            byte
	mode                int64
	uid, gid            int
	mtime               int64
	major, minor        int64
	xattrs              map[string]string
}

func file(name, content string) piece { return piece{name: name, content: content, mode: 0o644} }
func dir(name string) piece           { return piece{name: name, typeflag: tar.TypeDir, mode: 0o755} }
func hard(name, target string) piece  { return piece{name: name, link: target, typeflag: tar.TypeLink} }
func soft(name, target string) piece {
	return piece{name: name, link: target, typeflag: tar.TypeSymlink, mode: 0o777}
}

func (p piece) header() *tar.Header {
	header := &tar.Header{
		Typeflag: p.typeflag, Name: p.name, Linkname: p.link, Mode: p.mode, Uid: p.uid, Gid: p.gid, Devmajor: p.major, Devminor: p.minor,
		ModTime: time.Unix(p.mtime, 0),
	}
	if p.typeflag == 0 || p.typeflag == tar.TypeReg {
		header.Typeflag, header.Size = tar.TypeReg, int64(len(p.content))
	}
	for name, value := range p.xattrs {
		if header.PAXRecords == nil {
			header.PAXRecords = map[string]string{}
		}
		header.PAXRecords[xattrPrefix+name] = value
	}
	return header
}

func archive(t require.TestingT, pieces ...piece) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, p := range pieces {
		require.NoError(t, w.WriteHeader(p.header()))
		_, err := io.WriteString(w, p.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func asLayer(raw []byte) layer {
	return layer{
		digest: "sha256:0", diffID: fmt.Sprintf("sha256:%x", sha256.Sum256(raw)),
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
	}
}

// flat lays layers on each other and returns the archive.
func flat(ctx context.Context, dir string, limits Limits, layers ...layer) ([]byte, error) {
	spool, err := os.CreateTemp(dir, "spool")
	if err != nil {
		return nil, err
	}
	defer spool.Close()
	defer os.Remove(spool.Name())
	tree, err := flatten(ctx, layers, spool, limits)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = tree.write(ctx, &out, spool)
	return out.Bytes(), err
}

func flatPieces(t *testing.T, layers ...[]piece) ([]byte, error) {
	t.Helper()
	var all []layer
	for _, pieces := range layers {
		all = append(all, asLayer(archive(t, pieces...)))
	}
	return flat(t.Context(), t.TempDir(), Limits{}, all...)
}

// show tells an archive in lines: type, path, and what matters of each type. A hard link is "h PATH => FIRST".
func show(t require.TestingT, raw []byte) []string {
	var lines []string
	r := tar.NewReader(bytes.NewReader(raw))
	seen := map[string]bool{"": true}
	for {
		h, err := r.Next()
		if err == io.EOF {
			return lines
		}
		require.NoError(t, err)
		path := strings.TrimSuffix(h.Name, "/")
		parent := strings.TrimSuffix(strings.TrimSuffix(path, filepath.Base(path)), "/")
		require.True(t, seen[parent], "%q comes before its parent", h.Name)
		require.False(t, seen[path], "%q comes twice", h.Name)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		switch h.Typeflag {
		case tar.TypeDir:
			seen[path] = true
			lines = append(lines, "d "+path)
		case tar.TypeLink:
			lines = append(lines, "h "+path+" => "+h.Linkname)
		case tar.TypeSymlink:
			lines = append(lines, "l "+path+" -> "+h.Linkname)
		case tar.TypeReg:
			lines = append(lines, "f "+path+" "+string(content))
		default:
			lines = append(lines, fmt.Sprintf("%c %s %d:%d", h.Typeflag, path, h.Devmajor, h.Devminor))
		}
		rest := ""
		if h.Uid != 0 || h.Gid != 0 {
			rest += fmt.Sprintf(" %d:%d", h.Uid, h.Gid)
		}
		if usual := map[byte]int64{tar.TypeDir: 0o755, tar.TypeReg: 0o644, tar.TypeSymlink: 0o777}[h.Typeflag]; h.Typeflag != tar.TypeLink && h.Mode != usual {
			rest += fmt.Sprintf(" %o", h.Mode)
		}
		if h.ModTime.Unix() != 0 {
			rest += fmt.Sprintf(" @%d", h.ModTime.Unix())
		}
		for _, key := range sortedKeys(h.PAXRecords) {
			if name, ok := strings.CutPrefix(key, xattrPrefix); ok {
				rest += fmt.Sprintf(" %s=%q", name, h.PAXRecords[key])
			}
		}
		lines[len(lines)-1] += rest
	}
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func gzipped(t require.TestingT, raw []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(raw)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zstandard(t require.TestingT, raw []byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	defer w.Close()
	return w.EncodeAll(raw, nil)
}
