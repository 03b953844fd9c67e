package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// Status is how well a mirror works.
type Status string

// Healthy: pulls work, and the upstream answers. Degraded: what is cached is served, the upstream does not answer. Failed: pulls fail.
const (
	Healthy  Status = "healthy"
	Degraded Status = "degraded"
	Failed   Status = "failed"
)

// Health is a finding.
type Health struct {
	Status  Status    `json:"status"`
	Checked time.Time `json:"checked"`
	Image   string    `json:"image,omitempty"`
	// Reason says what is wrong, or what the finding rests on.
	Reason string `json:"reason"`
}

// checkTimeout bounds one check.
const checkTimeout = 20 * time.Second

// healthAccepts are the types of manifests that the check understands.
var healthAccepts = http.Header{"Accept": {
	"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
}}

// health is the finding that is repeated until it is old.
type health struct {
	mu   sync.Mutex
	last Health
}

// Health pulls the configured image's manifest and configuration as a client would, or repeats a finding that is not yet old.
func (m *Mirror) Health(ctx context.Context) Health {
	m.health.mu.Lock()
	defer m.health.mu.Unlock()
	if now := m.config.Now(); m.health.last.Status != "" && now.Sub(m.health.last.Checked) < m.config.HealthEvery {
		return m.health.last
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	status, reason := m.check(ctx)
	m.health.last = Health{Status: status, Checked: m.config.Now(), Image: m.config.HealthImage, Reason: reason}
	m.metrics.health.Set(map[Status]float64{Healthy: 2, Degraded: 1, Failed: 0}[status])
	return m.health.last
}

func (m *Mirror) check(ctx context.Context) (Status, string) {
	if err := m.shelf.Writable(); err != nil {
		return Failed, "the data directory: " + err.Error()
	}
	if m.config.HealthImage == "" {
		return Healthy, "the data directory can be written; no image is configured to be pulled"
	}
	name, ref := splitImage(m.config.HealthImage)
	found, err := m.pullManifest(ctx, name, ref)
	if err != nil {
		return Failed, err.Error()
	}
	stale := found.failure
	var manifest struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
		Config struct {
			Digest string `json:"digest"`
		} `json:"config"`
	}
	for range 2 {
		manifest.Manifests = nil
		if err := json.Unmarshal(found.body, &manifest); err != nil {
			return Failed, fmt.Sprintf("the manifest of %s: %v", m.config.HealthImage, err)
		}
		if len(manifest.Manifests) == 0 {
			break
		}
		if found, err = m.pullManifest(ctx, name, manifest.Manifests[0].Digest); err != nil {
			return Failed, err.Error()
		}
	}
	d, err := digest.Parse(manifest.Config.Digest)
	if err != nil {
		return Failed, fmt.Sprintf("the manifest of %s names no configuration: %v", m.config.HealthImage, err)
	}
	if _, err := m.ensure(ctx, name, d); err != nil {
		return Failed, err.Error()
	}
	if stale != nil {
		return Degraded, "what is cached is served; " + stale.Error()
	}
	return Healthy, "the image was pulled, and the upstream answers"
}

func (m *Mirror) pullManifest(ctx context.Context, name, ref string) (*found, error) {
	found, err := m.manifest(ctx, name, ref, healthAccepts)
	if err == nil && found.status != http.StatusOK {
		err = fmt.Errorf("manifest %s of %s: status %d", ref, name, found.status)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("manifest %s of %s: no answer within %s", ref, name, checkTimeout)
	}
	return found, err
}

// splitImage takes name:tag or name@digest apart; without either the tag is latest.
func splitImage(image string) (name, ref string) {
	if name, ref, ok := strings.Cut(image, "@"); ok {
		return name, ref
	}
	if at := strings.LastIndex(image, ":"); at > strings.LastIndex(image, "/") {
		return image[:at], image[at+1:]
	}
	return image, "latest"
}

func (m *Mirror) serveHealth(w http.ResponseWriter, r *http.Request) {
	// A caller that goes away must not make the finding that others are told.
	health := m.Health(context.WithoutCancel(r.Context()))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if health.Status == Failed {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(health) // a caller that is gone has no use for it
}
