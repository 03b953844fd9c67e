package jobfile

import (
	"strconv"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
)

func (r *reader) job(p place) jobs.Spec {
	spec := jobs.Spec{Queue: DefaultQueue}
	m, ok := r.members(p, "a mapping with steps and more", "queue", "repository", "files", "steps", "secrets", "timeout", "retries")
	if !ok {
		return spec
	}
	if v, ok := m["queue"]; ok {
		spec.Queue, _ = r.matching(v, queueRule)
	}
	if v, ok := m["repository"]; ok {
		spec.Repository = r.repository(v)
	}
	if v, ok := m["files"]; ok {
		spec.Files = r.files(v, spec.Repository)
	}
	if v, ok := m["secrets"]; ok {
		spec.Secrets = r.secrets(v)
	}
	if v, ok := m["steps"]; ok {
		spec.Steps = r.steps(v, spec.Secrets)
	} else {
		r.missing(p, m, "has no steps: a job runs at least one")
	}
	if v, ok := m["timeout"]; ok {
		spec.Timeout = jobs.Duration(r.timeout(v))
	}
	if v, ok := m["retries"]; ok {
		spec.Retries = int(r.integer(v, 0, maxRetries))
	}
	return spec
}

func (r *reader) repository(p place) *jobs.Repository {
	m, ok := r.members(p, "a mapping with name and commit", "name", "commit", "directory", "shallow", "tags", "sparse")
	if !ok {
		return nil
	}
	var repository jobs.Repository
	if v, ok := m["name"]; ok {
		repository.Name = r.repositoryName(v)
	} else {
		r.missing(p, m, "has no name: say which repository to clone")
	}
	if v, ok := m["commit"]; ok {
		repository.Commit = r.commit(v)
	} else {
		r.missing(p, m, "has no commit: name a branch, tag or commit; HEAD is the default branch")
	}
	if v, ok := m["directory"]; ok {
		repository.Directory, _ = r.directory(v)
	}
	if v, ok := m["shallow"]; ok {
		repository.Shallow = r.boolean(v)
	}
	if v, ok := m["tags"]; ok {
		repository.Tags = r.boolean(v)
	}
	if v, ok := m["sparse"]; ok {
		repository.Sparse = r.sparse(v)
	}
	return &repository
}

func (r *reader) repositoryName(p place) string {
	name, ok := r.matching(p, repositoryRule)
	if !ok {
		return ""
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "." || segment == ".." {
			r.fail(p, "%s has the segment %q, which is no part of a name", quote(name), segment)
			return ""
		}
	}
	return name
}

func (r *reader) commit(p place) string {
	commit, ok := r.matching(p, commitRule)
	if ok && strings.Contains(commit, "..") {
		r.fail(p, "%s is a range: name one branch, tag or commit", quote(commit))
	}
	return commit
}

func (r *reader) sparse(p place) []string {
	patterns := r.texts(p, "a list of patterns to check out")
	for i := range p.node.items {
		switch item := p.item(i); {
		case item.node.kind != scalar || item.node.typ == typeNull:
		case strings.TrimSpace(item.node.text) == "":
			r.fail(item, "is empty: wants a pattern of git sparse-checkout such as \"docs/*\"")
		case strings.ContainsAny(item.node.text, "\r\n"):
			r.fail(item, "has a line break: write each pattern as an item of its own")
		}
	}
	return patterns
}

func (r *reader) timeout(p place) time.Duration {
	const wants = `a time with its unit such as "90s", "10m" or "1h30m"`
	text, ok := r.text(p)
	if !ok {
		return 0
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		r.fail(p, "%s has no unit: wants %s", text, wants)
		return 0
	}
	timeout, err := time.ParseDuration(text)
	switch {
	case err != nil:
		r.fail(p, "%s is no time: wants %s", quote(text), wants)
	case timeout < minTimeout || timeout > maxTimeout:
		r.fail(p, "%s is out of range: wants 1s to %dh", text, int(maxTimeout.Hours()))
	default:
		return timeout
	}
	return 0
}
