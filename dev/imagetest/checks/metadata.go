package checks

import (
	"context"
	"slices"

	"github.com/open-executor/executor/dev/imagetest/schema"
)

func (r Runner) metadata(ctx context.Context, m schema.Metadata, result *Result) {
	config, err := r.Engine.Config(ctx, r.Image)
	if err != nil {
		result.fail("%v", why(ctx, err))
		return
	}
	values(result, "environment variable", m.Env, config.Env)
	values(result, "label", m.Labels, config.Labels)
	for _, name := range m.UnboundEnv {
		if value, found := config.Env[name]; found {
			result.fail("environment variable %s is %q and should not be there", name, value)
		}
	}
	members(result, "port", m.ExposedPorts, m.UnexposedPorts, config.Ports)
	members(result, "volume", m.Volumes, m.UnmountedVolumes, config.Volumes)
	words(result, "entrypoint", m.Entrypoint, config.Entrypoint)
	words(result, "cmd", m.Cmd, config.Cmd)
	if m.Workdir != "" && m.Workdir != config.Workdir {
		result.fail("workdir is %q, want %q", config.Workdir, m.Workdir)
	}
	if m.User != "" && m.User != config.User {
		result.fail("user is %q, want %q", config.User, m.User)
	}
}

// values holds variables or labels against what is wanted of them.
func values(result *Result, what string, want []schema.Variable, have map[string]string) {
	for _, v := range want {
		value, found := have[v.Key]
		switch {
		case !found:
			result.fail("%s %s is not there", what, v.Key)
		case v.Pattern != nil && !v.Pattern.MatchString(value):
			result.fail("%s %s is %q, which %q doesn't match", what, v.Key, value, v.Pattern)
		case v.Pattern == nil && value != v.Value:
			result.fail("%s %s is %q, want %q", what, v.Key, value, v.Value)
		}
	}
}

// members holds ports or volumes against those that should be there and those that should not.
func members(result *Result, what string, want, unwanted, have []string) {
	for _, member := range want {
		if !slices.Contains(have, member) {
			result.fail("%s %s is not there; there are: %s", what, member, sorted(have))
		}
	}
	for _, member := range unwanted {
		if slices.Contains(have, member) {
			result.fail("%s %s is there and should not be", what, member)
		}
	}
}

// words holds a command against the one that is wanted, if one is.
func words(result *Result, what string, want *[]string, have []string) {
	if want != nil && !slices.Equal(*want, have) {
		result.fail("%s is %q, want %q", what, have, *want)
	}
}
