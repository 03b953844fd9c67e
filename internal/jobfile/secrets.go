package jobfile

import "github.com/open-executor/executor/internal/api/jobs"

// secrets reads the job's secrets. No message repeats a value that may be one.
func (r *reader) secrets(p place) map[string]jobs.Secret {
	if p.node.kind != mapping {
		r.fail(p, "wants a mapping of names to secrets, each {env: NAME} or {value: …}")
		return nil
	}
	entries, _ := r.entries(p, "")
	var secrets map[string]jobs.Secret
	for _, e := range entries {
		if !envRule.pattern.MatchString(e.name) {
			r.fail(e.named, "%s is no %s: %s", quote(e.name), envRule.what, envRule.wants)
			continue
		}
		if secrets == nil {
			secrets = make(map[string]jobs.Secret)
		}
		// A secret with a problem counts as declared: its name is taken all the same.
		secrets[e.name] = jobs.Secret{Value: r.secret(e.value)}
	}
	return secrets
}

func (r *reader) secret(p place) string {
	if p.node.kind != mapping {
		r.fail(p, "wants {env: NAME}, the variable to take it from, or {value: …}")
		return ""
	}
	m, _ := r.members(p, "{env: NAME} or {value: …}", "env", "value")
	env, hasEnv := m["env"]
	value, hasValue := m["value"]
	switch {
	case hasEnv && hasValue:
		r.fail(p, "has both env and value: give one of them")
	case hasEnv:
		return r.secretFromEnv(env)
	case hasValue:
		if value.node.kind != scalar {
			r.fail(value, "wants text")
			return ""
		}
		text, ok := r.text(value)
		if ok && text == "" {
			r.fail(value, "is empty: a secret has at least one character")
		}
		return text
	default:
		r.missing(p, m, "has neither env nor value: write {env: NAME} to take it from your environment (answers of the API leave values out)")
	}
	return ""
}

func (r *reader) secretFromEnv(p place) string {
	name, ok := r.text(p)
	if !ok {
		return ""
	}
	if !envRule.pattern.MatchString(name) {
		r.fail(p, "is no name of a variable: env names the variable that holds the secret; a secret itself goes under value")
		return ""
	}
	if r.env == nil {
		r.fail(p, "the frontend doesn't have your environment: execctl replaces env by the value of %s before it submits; clients of the API send {value: …}", name)
		return ""
	}
	value, ok := r.env(name)
	switch {
	case !ok:
		r.fail(p, "the variable %s is not set in your environment", name)
	case value == "":
		r.fail(p, "the variable %s is set but empty in your environment", name)
	}
	return value
}
