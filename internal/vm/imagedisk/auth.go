package imagedisk

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

// credentials looks up what to tell a registry, as Docker does: by the registry's name as the key, else by the host in keys such as
// "https://registry.example.com/v1/". Docker Hub has several names. Without a match it is nobody.
func credentials(auth api.DockerAuthConfig, registry string) (authn.Authenticator, error) {
	key, ok := credentialsKey(auth, registry)
	if !ok {
		return authn.Anonymous, nil
	}
	user, password, ok := bytes.Cut(auth.Auths[key].Auth, []byte(":"))
	if !ok {
		return nil, fault.Userf("the auth of registry %q is not the base64 of user:password", key)
	}
	return authn.FromConfig(authn.AuthConfig{Username: string(user), Password: strings.Trim(string(password), "\x00")}), nil
}

func credentialsKey(auth api.DockerAuthConfig, registry string) (string, bool) {
	keys := slices.Sorted(maps.Keys(auth.Auths))
	exact := []string{registry}
	if registry == name.DefaultRegistry {
		exact = []string{authn.DefaultAuthKey, registry, "docker.io"}
	}
	for _, key := range exact {
		if _, ok := auth.Auths[key]; ok {
			return key, true
		}
	}
	for _, key := range keys {
		if hostOf(key) == registry {
			return key, true
		}
	}
	return "", false
}

// hostOf is the host, and port, that a key of a Docker configuration is for.
func hostOf(key string) string {
	host := strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, _, _ = strings.Cut(host, "/")
	switch host {
	case "docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		return name.DefaultRegistry
	}
	return host
}
