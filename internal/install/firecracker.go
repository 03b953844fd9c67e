package install

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
)

const (
	// FirecrackerReleases is where Firecracker's releases lie, one folder a version.
	FirecrackerReleases = "https://github.com/firecracker-microvm/firecracker/releases/download"
	// FirecrackerVersion is the release that the driver is written for.
	FirecrackerVersion = "1.12.1"
)

// Firecracker is a release of the monitor and its jailer, which belong together. It is for x86_64.
type Firecracker struct {
	// Releases is FirecrackerReleases outside tests.
	Releases string
	// Version is plain, "1.12.1" for example.
	Version string
	// HTTP makes the requests; http.DefaultClient when nil.
	HTTP *http.Client
}

// Install downloads the release, checks its SHA-256 against the one beside it, and puts firecracker and jailer into dir. Each replaces an earlier one
// at once or not at all.
func (f Firecracker) Install(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, downloadTime)
	defer cancel()
	release := fmt.Sprintf("v%s-x86_64", f.Version)
	name := "firecracker-" + release + ".tgz"
	archive, err := folder{url: f.Releases + "/v" + f.Version, http: f.HTTP}.archive(ctx, name, name+".sha256.txt")
	if err != nil {
		return err
	}
	programs := map[string][]byte{}
	for _, program := range []string{"firecracker", "jailer"} {
		programs[program], err = member(archive, fmt.Sprintf("release-%s/%s-%s", release, program, release))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for program, content := range programs {
		err = errors.Join(err, place(content, filepath.Join(dir, program)))
	}
	return err
}
