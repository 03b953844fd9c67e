package imagedisk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

// remoteBlobs reads from one repository of a registry.
type remoteBlobs struct {
	puller     *remote.Puller
	repository name.Repository
}

func (r *remoteBlobs) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	got, err := r.puller.Get(ctx, r.repository.Digest(digest.String()))
	if err != nil {
		return nil, err
	}
	return got.Manifest, nil
}

func (r *remoteBlobs) blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error) {
	blob, err := r.puller.Layer(ctx, r.repository.Digest(digest.String()))
	if err != nil {
		return nil, err
	}
	return blob.Compressed()
}

// place is a registry's repository in which an image may be.
type place struct {
	ref name.Reference
	// source names what gives out the image: Docker Hub, whichever of its mirrors answers.
	source string
	// mirror says that there is somewhere else to look.
	mirror bool
}

// places lists where to look for an image, in order.
func (s *Store) places(ref name.Reference) []place {
	own := place{ref: ref, source: ref.Context().Name()}
	if ref.Context().RegistryStr() != name.DefaultRegistry {
		return []place{own}
	}
	var all []place
	for _, mirror := range s.mirrors {
		repository := mirror.Repo(ref.Context().RepositoryStr())
		there := name.Reference(repository.Tag(ref.Identifier()))
		if _, ok := ref.(name.Digest); ok {
			there = repository.Digest(ref.Identifier())
		}
		all = append(all, place{ref: there, source: own.source, mirror: true})
	}
	return append(all, own)
}

// parseMirrors reads the addresses of mirrors.
func parseMirrors(addresses []string) ([]name.Registry, error) {
	var mirrors []name.Registry
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil {
			return nil, fault.Operatorf("registry mirror: %w", err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
			return nil, fault.Operatorf("registry mirror %q: want http://HOST or https://HOST, with a port when it is another, and no path", u.Redacted())
		}
		var options []name.Option
		if u.Scheme == "http" {
			options = append(options, name.Insecure)
		}
		mirror, err := name.NewRegistry(u.Host, options...)
		if err != nil {
			return nil, fault.Operatorf("registry mirror %q: %w", u.Redacted(), err)
		}
		mirrors = append(mirrors, mirror)
	}
	return mirrors, nil
}

// at opens a place with the job's credentials for that registry.
func (s *Store) at(p place, auth api.DockerAuthConfig) (*remoteBlobs, error) {
	who, err := credentials(auth, p.ref.Context().RegistryStr())
	if err != nil {
		return nil, err
	}
	puller, err := remote.NewPuller(remote.WithTransport(s.transport), remote.WithAuth(who), remote.WithPlatform(s.options.Platform))
	if err != nil {
		return nil, err
	}
	return &remoteBlobs{puller, p.ref.Context()}, nil
}

// resolve asks the registry which image ref is for this platform. It always asks, and with the job's credentials: so a job gets no image
// from the cache that the registry refuses to it. The manifest is nil when it was not needed.
func (s *Store) resolve(ctx context.Context, from *remoteBlobs, ref name.Reference) (v1.Hash, []byte, error) {
	var digest v1.Hash
	var raw []byte
	head, err := from.puller.Head(ctx, ref)
	switch {
	case err == nil:
		digest = head.Digest
	case unreachable(err):
		return v1.Hash{}, nil, &pullError{err}
	default:
		// Only the answer to GET says why, and not all registries answer HEAD in full.
		got, err := from.puller.Get(ctx, ref)
		if err != nil {
			return v1.Hash{}, nil, &pullError{err}
		}
		digest, raw = got.Digest, got.Manifest
	}
	if child, ok := s.known(digest); ok {
		return child, nil, nil
	}
	if raw == nil {
		if raw, err = from.manifest(ctx, digest); err != nil {
			return v1.Hash{}, nil, &pullError{err}
		}
	}
	child, raw, err := choose(ctx, from, digest, raw, s.options.Platform)
	if err == nil {
		s.know(digest, child)
	}
	return child, raw, err
}

// unreachable says that no registry answered.
func unreachable(err error) bool {
	var request *url.Error
	var network net.Error
	return errors.As(err, &request) || errors.As(err, &network) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// maxKnown bounds the memory of what indexes hold.
const maxKnown = 4096

// known returns the image for this platform that a digest stands for, when that was seen in its content or there is a disk for it.
func (s *Store) known(digest v1.Hash) (v1.Hash, bool) {
	s.mu.Lock()
	child, ok := s.children[digest]
	s.mu.Unlock()
	if ok {
		return child, true
	}
	record, err := s.record(s.key(digest))
	return digest, err == nil && record != nil
}

func (s *Store) know(digest, child v1.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.children) >= maxKnown {
		clear(s.children)
	}
	s.children[digest] = child
}

// newTransport makes the default transport: proxies from the environment, the system's certificate authorities, and a bound on every
// wait but the one for a blob's bytes, which has its own.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          16,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
	}
}

// missing is the error when every place failed: that of the registry itself, the last one. What the mirrors said is only told.
func missing(failures []error) error {
	own := failures[len(failures)-1]
	if len(failures) == 1 {
		return own
	}
	return &missingError{own, errors.Join(failures[:len(failures)-1]...)}
}

type missingError struct{ own, mirrors error }

func (e *missingError) Error() string { return fmt.Sprintf("%s (mirrors: %s)", e.own, e.mirrors) }
func (e *missingError) Unwrap() error { return e.own }
