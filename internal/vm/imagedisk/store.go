package imagedisk

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

// Options say where and how disks are kept. Only Dir has no default.
type Options struct {
	// Dir holds the disks. It is made with mode 0700 when missing, and must be this user's alone. Several processes may share it.
	Dir string
	// MaxBytes is how much of the host's disk the disks may take before those that nobody uses go, the longest unused first; 32 GiB by
	// default. The one being made and those in use count, and stay.
	MaxBytes int64
	// Size is the size in bytes to which every disk is extended, with a hole; 64 GiB by default.
	Size int64
	// Platform chooses from images for several ones; Linux on this machine's architecture by default.
	Platform v1.Platform
	// Mirrors are the addresses, http://HOST or https://HOST, that are tried in order for images of Docker Hub before it is. A job's
	// credentials for Docker Hub stay away from them; it can have others for a mirror's host.
	Mirrors []string
	// Transport carries requests to registries; by default one with the environment's proxies and the system's authorities.
	Transport http.RoundTripper
	// Limits bound what images ask for.
	Limits Limits
	// Silence is how long a registry may send nothing in the midst of a blob; 2 minutes by default.
	Silence time.Duration
	// Make makes the file system of an archive at a path where nothing is yet; the function Make by default.
	Make func(ctx context.Context, archive io.Reader, path string) error
}

// Store keeps disks made of images. Safe for concurrent use.
type Store struct {
	options   Options
	mirrors   []name.Registry
	transport http.RoundTripper
	own       *http.Transport
	flights   *flights

	mu sync.Mutex
	// children maps what references resolve to, indexes too, to the image for the platform.
	children map[v1.Hash]v1.Hash
	// checked holds the files whose digests this process has seen to be right.
	checked map[string]identity
}

// New opens the store and removes what makers that were killed left in it. Its errors are the operator's to mend.
func New(options Options) (*Store, error) {
	options = options.withDefaults()
	mirrors, err := parseMirrors(options.Mirrors)
	if err != nil {
		return nil, err
	}
	if options.Make == nil {
		if err := findProgram(); err != nil {
			return nil, fault.As(fault.Operator, err)
		}
		options.Make = Make
	}
	if err := makeDir(options.Dir); err != nil {
		return nil, err
	}
	s := &Store{
		options:   options,
		mirrors:   mirrors,
		transport: options.Transport,
		flights:   newFlights(),
		children:  map[v1.Hash]v1.Hash{},
		checked:   map[string]identity{},
	}
	if s.transport == nil {
		s.own = newTransport()
		s.transport = s.own
	}
	return s, s.sweep()
}

func (o Options) withDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 32 << 30
	}
	if o.Size <= 0 {
		o.Size = 64 << 30
	}
	if o.Silence <= 0 {
		o.Silence = 2 * time.Minute
	}
	if o.Platform.OS == "" {
		o.Platform = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	}
	o.Limits = o.Limits.withDefaults()
	return o
}

// makeDir makes the directory and refuses one into which others could put disks.
func makeDir(dir string) error {
	if !filepath.IsAbs(dir) {
		return fault.Operatorf("the directory of disk images, %q, must be absolute", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Operatorf("the directory of disk images can't be made: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fault.As(fault.Operator, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.ErrUnsupported
	case !info.IsDir():
		return fault.Operatorf("the directory of disk images, %s, is no directory (%s)", dir, info.Mode().Type())
	case int(stat.Uid) != os.Geteuid():
		return fault.Operatorf("the directory of disk images, %s, belongs to user %d, not to %d who runs this", dir, stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return fault.Operatorf("the directory of disk images, %s, has mode %04o, open to other users; remove it, or run chmod 700 on it", dir, info.Mode().Perm())
	}
	return nil
}

// Get returns the disk of the image that ref names: from the cache, or made now. The registry is asked in any case, with the job's
// credentials, which image that is and whether the job may have it; when it doesn't answer there is no disk. The disk of an image that
// only other repositories gave so far is not handed out before this one has proved that it has all of the image.
//
// An error of a registry reads "image REF could not be pulled: …". It is a user error when the registry refused, or the image can't be used.
func (s *Store) Get(ctx context.Context, ref string, auth api.DockerAuthConfig) (*Disk, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, explain(ctx, ref, fault.As(fault.User, &pullError{err}))
	}
	var failures []error
	for _, p := range s.places(parsed) {
		disk, err := s.from(ctx, p, auth)
		var pull *pullError
		switch {
		case err == nil:
			return disk, nil
		case ctx.Err() != nil || !errors.As(err, &pull):
			return nil, explain(ctx, ref, err)
		}
		failures = append(failures, err)
	}
	return nil, explain(ctx, ref, missing(failures))
}

// GetTrusted is Get for references of the operator: it also takes "oci:" and the absolute path of an OCI image layout, a directory. A job
// must not name those: it would read the host's files.
func (s *Store) GetTrusted(ctx context.Context, ref string, auth api.DockerAuthConfig) (*Disk, error) {
	if strings.HasPrefix(ref, layoutScheme) {
		return s.layout(ctx, ref)
	}
	return s.Get(ctx, ref, auth)
}

func (s *Store) from(ctx context.Context, p place, auth api.DockerAuthConfig) (*Disk, error) {
	from, err := s.at(p, auth)
	if err != nil {
		return nil, err
	}
	digest, raw, err := s.resolve(ctx, from, p.ref)
	if err != nil {
		return nil, err
	}
	return s.disk(ctx, wanted{digest: digest, raw: raw, source: p.source, from: from})
}

// Close ends what is being made and waits for its end. Open disks stay open.
func (s *Store) Close() error {
	s.flights.close()
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
	return nil
}
