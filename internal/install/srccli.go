// Package install fetches the tools that an executor needs beside it, and checks them against their publishers' checksums.
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
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

const (
	// DefaultBinDir is where programs go.
	DefaultBinDir = "/usr/local/bin"
	// SrcReleases is where src's releases lie, one folder a version (spec section 1.3).
	SrcReleases = "https://github.com/sourcegraph/src-cli/releases/download"
	// MinSrc is the version for frontends that can't be asked.
	MinSrc = "5.3.0"
)

// Bounds of what is downloaded, in bytes, and of the time that it may take.
const (
	maxArchive   = 256 << 20
	maxChecksums = 1 << 20
	maxProgram   = 512 << 20
	downloadTime = 10 * time.Minute
)

var plainVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

// Src is a version of the src command line tool for one platform.
type Src struct {
	// Releases is SrcReleases outside tests.
	Releases string
	// Version is plain, "5.3.0" for example; OS and Arch are Go's names.
	Version, OS, Arch string
	// HTTP makes the requests; http.DefaultClient when nil.
	HTTP *http.Client
}

// Install downloads the archive, checks its SHA-256 against the release's list of checksums, and puts the program into dir as "src".
// An earlier one is replaced at once or not at all.
func (s Src) Install(ctx context.Context, dir string) error {
	if !plainVersion.MatchString(s.Version) {
		return fault.Operatorf("src version %q is not of the form 1.2.3", s.Version)
	}
	ctx, cancel := context.WithTimeout(ctx, downloadTime)
	defer cancel()
	name := fmt.Sprintf("src-cli_%s_%s_%s.tar.gz", s.Version, s.OS, s.Arch)
	sums, err := s.download(ctx, fmt.Sprintf("src-cli_%s_checksums.txt", s.Version), maxChecksums)
	if err != nil {
		return err
	}
	want, err := checksum(string(sums), name)
	if err != nil {
		return err
	}
	archive, err := s.download(ctx, name, maxArchive)
	if err != nil {
		return err
	}
	if got := sha256.Sum256(archive); hex.EncodeToString(got[:]) != want {
		return fmt.Errorf("%s has SHA-256 %x, but its release lists %s; nothing was installed", name, got, want)
	}
	program, err := member(archive, "src")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return place(program, filepath.Join(dir, "src"))
}

func (s Src) download(ctx context.Context, name string, limit int64) ([]byte, error) {
	url := s.Releases + "/" + s.Version + "/" + name
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := s.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("downloading src %s: %w", s.Version, err)
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
	return "", fmt.Errorf("the release lists no checksum for %s: there is no src for this platform", name)
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

// place writes a program under a temporary name first, so that nobody ever runs half of it.
func place(program []byte, target string) (err error) {
	file, err := os.CreateTemp(filepath.Dir(target), ".src-*")
	if err != nil {
		return fault.As(fault.Operator, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(program)
	if err := errors.Join(err, file.Chmod(0o755), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), target)
}
