package install

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/replace"
)

// Bounds of what is downloaded, in bytes, and of the time that it may take.
const (
	maxArchive   = 256 << 20
	maxChecksums = 1 << 20
	maxProgram   = 512 << 20
	downloadTime = 10 * time.Minute
)

// folder is where a release's files lie.
type folder struct {
	url string
	// http makes the requests; http.DefaultClient when nil.
	http *http.Client
}

// archive downloads a file and checks its SHA-256 against one of the release's lists of checksums.
func (f folder) archive(ctx context.Context, name, list string) ([]byte, error) {
	sums, err := f.download(ctx, list, maxChecksums)
	if err != nil {
		return nil, err
	}
	want, err := checksum(string(sums), name)
	if err != nil {
		return nil, err
	}
	archive, err := f.download(ctx, name, maxArchive)
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(archive); hex.EncodeToString(got[:]) != want {
		return nil, fmt.Errorf("%s has SHA-256 %x, but its release lists %s; nothing was installed", name, got, want)
	}
	return archive, nil
}

func (f folder) download(ctx context.Context, name string, limit int64) ([]byte, error) {
	url := f.url + "/" + name
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := f.http
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", url, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("downloading %s: unexpected status code %d", url, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", url, err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("downloading %s: it is larger than %d bytes", url, limit)
	}
	return body, nil
}

// checksum finds a file's SHA-256 in a list of "<hex>  <name>" lines.
func checksum(list, name string) (string, error) {
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) == 2 && strings.TrimPrefix(fields[1], "*") == name {
			return strings.ToLower(fields[0]), nil
		}
	}
	return "", fmt.Errorf("the release lists no checksum for %s: there is none for this platform", name)
}

// member extracts one regular file from the top of a compressed tar archive.
func member(archive []byte, name string) ([]byte, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	for entries := tar.NewReader(unpacked); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("there is no %q in it", name)
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg || path.Clean(header.Name) != name {
			continue
		}
		if header.Size > maxProgram {
			return nil, fmt.Errorf("%q in it measures %d bytes, more than %d", name, header.Size, maxProgram)
		}
		return io.ReadAll(entries)
	}
}

// place puts a program in place of an earlier one, so that nobody ever runs half of it.
func place(program []byte, target string) error {
	return replace.File(target, 0o755, func(out io.Writer) error {
		_, err := out.Write(program)
		return err
	})
}
