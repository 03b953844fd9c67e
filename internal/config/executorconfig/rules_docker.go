package executorconfig

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/go-units"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/mounts"
)

func checkDockerAuth(l *loader) {
	raw := l.Optional("EXECUTOR_DOCKER_AUTH_CONFIG")
	if strings.TrimSpace(raw) == "" {
		return
	}
	auth, err := parseDockerAuth([]byte(raw))
	if err != nil {
		l.failf("invalid JSON for EXECUTOR_DOCKER_AUTH_CONFIG: %w", err)
		return
	}
	l.cfg.Docker.Auth = config.NewSecret(auth)
}

// parseDockerAuth decodes a Docker client's configuration. The errors of the decoders would quote pieces of credentials, so
// they are told by place only: a byte of the document, or a registry.
func parseDockerAuth(raw []byte) (api.DockerAuthConfig, error) {
	var document struct {
		Auths map[string]struct{ Auth string }
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		return api.DockerAuthConfig{}, hideJSON(err)
	}
	var auth api.DockerAuthConfig
	for _, registry := range slices.Sorted(maps.Keys(document.Auths)) {
		credentials, err := base64.StdEncoding.DecodeString(document.Auths[registry].Auth)
		if err != nil {
			return api.DockerAuthConfig{}, fmt.Errorf("the auth of registry %q is not the base64 of user:password", registry)
		}
		if auth.Auths == nil {
			auth.Auths = map[string]api.DockerAuth{}
		}
		auth.Auths[registry] = api.DockerAuth{Auth: credentials}
	}
	return auth, nil
}

// hideJSON turns a decoder's error into one that names a place but quotes nothing.
func hideJSON(err error) error {
	const want = `want {"auths":{"REGISTRY":{"auth":"BASE64"}}}; what stands there is secret and not shown`
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("it ends or breaks off at byte %d: %s", syntax.Offset, want)
	case errors.As(err, &kind):
		return fmt.Errorf("there is a value of the wrong kind before byte %d: %s", kind.Offset, want)
	default:
		return errors.New(want)
	}
}

func checkAdditionalMounts(l *loader) {
	parsed, err := mounts.ParseList(l.Optional("EXECUTOR_DOCKER_ADDITIONAL_MOUNTS"), l.host.WorkDir)
	if err != nil {
		l.failf("invalid mounts in EXECUTOR_DOCKER_ADDITIONAL_MOUNTS: %w", err)
		return
	}
	l.cfg.Docker.AdditionalMounts = parsed
}

func checkMemory(l *loader) {
	if l.Failed("EXECUTOR_JOB_MEMORY") {
		return
	}
	memory := l.cfg.Jobs.Memory
	if size, err := units.RAMInBytes(memory); err != nil || size < 0 {
		l.failf("invalid size %q for %s: use a number with a unit, such as 512M or 12G, or 0 for no limit", memory, l.UsedName("EXECUTOR_JOB_MEMORY"))
	}
}
