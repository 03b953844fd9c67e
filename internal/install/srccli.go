// Package install fetches the tools that an executor needs beside it, and checks them against their publishers' checksums.
package install

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"

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
	from := folder{url: s.Releases + "/" + s.Version, http: s.HTTP}
	archive, err := from.archive(ctx, name, fmt.Sprintf("src-cli_%s_checksums.txt", s.Version))
	if err != nil {
		return err
	}
	program, err := member(archive, "src")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return place(program, filepath.Join(dir, "src"))
}
