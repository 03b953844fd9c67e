package apt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

// GoneError is packages that the mirror no longer has: it moved on, and no repetition helps.
type GoneError struct{ Packages []lockfile.Package }

func (e *GoneError) Error() string {
	var names []string
	for _, p := range e.Packages {
		names = append(names, p.String())
	}
	return fmt.Sprintf("the mirror no longer has %s; run go run ./docker-images/debian lock, or set %s to "+
		"a mirror of the day of the lock, such as Debian's snapshot archive has", strings.Join(names, ", "), MirrorVariable)
}

// gone are the words of apt's methods for a file that isn't there. All else may pass: a network that is down, a mirror being updated.
var gone = []string{"404  Not Found", "410  Gone", "File not found"}

// Fetch puts the packages into the directory dir and returns their files in the same order. What is there already is taken when it is right.
// Packages that are gone are told as a *GoneError, whatever else went wrong.
func Fetch(ctx context.Context, run Runner, mirror Mirror, packages []lockfile.Package, dir string) ([]string, error) {
	var files, args []string
	missing := make(map[string]lockfile.Package)
	for _, p := range packages {
		file := filepath.Join(dir, path.Base(p.Path))
		files = append(files, file)
		if _, asked := missing[mirror.URL(p)]; asked || Verify(file, p) == nil {
			continue
		}
		missing[mirror.URL(p)] = p
		args = append(args, mirror.URL(p), file, "SHA256:"+p.SHA256)
	}
	if len(args) == 0 {
		return files, nil
	}
	// Sandboxed, apt downloads as another user, who can't write here.
	args = append([]string{"-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "download-file"}, args...)
	_, err := run(ctx, nil, Helper, args...)
	if failed, ok := errors.AsType[*ExitError](err); ok {
		if vanished := goneIn(failed.Stderr, packages, mirror); len(vanished) > 0 {
			return nil, &GoneError{vanished}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("fetching packages from %s: %w", mirror.Main, err)
	}
	for _, p := range missing {
		if err := Verify(filepath.Join(dir, path.Base(p.Path)), p); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// goneIn finds the packages that apt says are not there: E: Failed to fetch URL  404  Not Found [IP: …].
func goneIn(stderr string, packages []lockfile.Package, mirror Mirror) []lockfile.Package {
	var found []lockfile.Package
	for _, p := range packages {
		for line := range strings.Lines(stderr) {
			_, reason, failed := strings.Cut(line, "Failed to fetch "+mirror.URL(p)+" ")
			for _, words := range gone {
				if failed && strings.Contains(reason, words) {
					found = append(found, p)
					failed = false
				}
			}
		}
	}
	return found
}

// Verify says what is wrong with the file of a package, if anything.
func Verify(file string, p lockfile.Package) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	size, err := io.Copy(sum, io.LimitReader(f, p.Size+1))
	if err != nil {
		return err
	}
	if size != p.Size {
		return fmt.Errorf("%s: %d bytes or more; the lock has %s with %d", file, size, p, p.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.SHA256 {
		return fmt.Errorf("%s: its SHA-256 is %s; the lock has %s with %s", file, got, p, p.SHA256)
	}
	return nil
}
