package gitproxy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

// resolveTimeout bounds one Resolve.
const resolveTimeout = 30 * time.Second

var fullHash = regexp.MustCompile(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

// Resolve finds the commit that a branch, a tag, a full reference name or a hash of a repository names now, as full lower-case
// hexadecimal. Local repositories also take a short hash, and a full one must exist; of a remote repository a full hash is taken as it is. Like
// git, it prefers a tag to a branch of the same name. An unknown repository or reference is a user error; a remote that can't be asked
// is an infrastructure error.
func (s *Server) Resolve(ctx context.Context, repository, ref string) (commit string, err error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	target, ok := s.registry.find(repository)
	if _, named := s.registry.named[repository]; !ok && named {
		return "", fault.Operatorf("repository %q: the place that the frontend's configuration gives for it holds no git repository", repository)
	}
	if !ok {
		return "", fault.Userf("repository %q is not known to this frontend%s", repository, hint(near(repository, s.registry.names())))
	}
	if err := checkRef(ref); err != nil {
		return "", fault.Userf("repository %q: %w", repository, err)
	}
	if target.remote != nil {
		return resolveRemote(ctx, repository, *target.remote, ref)
	}
	return resolveLocal(ctx, repository, target.gitDir, ref)
}

// checkRef takes what can be a reference name or a hash, and nothing of git's revision language ("a..b", "main~3", ":/text").
func checkRef(ref string) error {
	bad := func(why string) error {
		return fmt.Errorf("commit %q: want a branch, a tag or a commit hash; %s", ref, why)
	}
	switch {
	case ref == "":
		return bad("it is empty")
	case len(ref) > 255:
		return fmt.Errorf("commit is %d characters long; want a branch, a tag or a commit hash of at most 255", len(ref))
	case strings.HasPrefix(ref, "-"):
		return bad(`it begins with "-"`)
	case strings.HasPrefix(ref, "/"), strings.HasSuffix(ref, "/"), strings.Contains(ref, "//"):
		return bad("it has an empty part between slashes")
	case strings.HasSuffix(ref, "."), strings.HasSuffix(ref, ".lock"), strings.HasPrefix(ref, "."), strings.Contains(ref, "/."):
		return bad("it has a part with a forbidden dot")
	case strings.Contains(ref, ".."), strings.Contains(ref, "@{"), ref == "@":
		return bad("revision expressions are not taken")
	}
	for _, r := range ref {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("~^:?*[\\", r) {
			return bad(fmt.Sprintf("%q can't stand in it", r))
		}
	}
	return nil
}

func resolveLocal(ctx context.Context, repository, gitDir, ref string) (string, error) {
	out, err := runGit(ctx, nil, "--git-dir="+gitDir, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if commit := strings.TrimSpace(out); err == nil && fullHash.MatchString(commit) {
		return commit, nil
	}
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		return "", fault.Infrastructuref("repository %q: resolving %q: %w", repository, ref, err)
	}
	names, err := runGit(ctx, nil, "--git-dir="+gitDir, "for-each-ref", "--count=1000", "--format=%(refname:strip=2)", "refs/heads", "refs/tags")
	if err != nil {
		return "", fault.Infrastructuref("repository %q: listing its branches: %w", repository, err)
	}
	return "", unknownRef(repository, ref, near(ref, strings.Fields(names)))
}

func unknownRef(repository, ref string, suggestions []string) error {
	return fault.Userf("repository %q has no branch, tag or commit %q%s", repository, ref, hint(suggestions))
}

func resolveRemote(ctx context.Context, repository string, remote Repository, ref string) (string, error) {
	if fullHash.MatchString(ref) {
		return strings.ToLower(ref), nil
	}
	candidates := []string{ref, "refs/" + ref, "refs/tags/" + ref, "refs/heads/" + ref}
	args := []string{"ls-remote", "--quiet", remote.URL}
	for _, candidate := range candidates {
		args = append(args, candidate, candidate+"^{}")
	}
	out, err := runGit(ctx, remoteEnvironment(remote), args...)
	if err != nil {
		return "", fault.Infrastructuref("repository %q: asking the remote for %q: %w", repository, ref, err)
	}
	commits := parseRefs(out)
	for _, candidate := range candidates {
		// The "^{}" form is the commit that an annotated tag points at.
		for _, name := range []string{candidate + "^{}", candidate} {
			if commit, ok := commits[name]; ok {
				return commit, nil
			}
		}
	}
	return "", unknownRef(repository, ref, nil)
}

// parseRefs reads the lines of git ls-remote, "<hash>\t<name>". It matches names by their ends, so there may be more than was asked for.
func parseRefs(out string) map[string]string {
	commits := make(map[string]string)
	for line := range strings.Lines(out) {
		hash, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if ok && fullHash.MatchString(hash) {
			commits[name] = hash
		}
	}
	return commits
}

// remoteEnvironment gives git the credentials where no command line and no file shows them, and keeps them from other hosts and protocols.
func remoteEnvironment(remote Repository) []string {
	env := []string{
		"GIT_ALLOW_PROTOCOL=http:https", "GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=http.followRedirects", "GIT_CONFIG_VALUE_0=false",
	}
	if remote.Username == "" && remote.Password == "" {
		return env
	}
	basic := base64.StdEncoding.EncodeToString([]byte(remote.Username + ":" + remote.Password))
	env[1] = "GIT_CONFIG_COUNT=2"
	return append(env, "GIT_CONFIG_KEY_1=http.extraHeader", "GIT_CONFIG_VALUE_1=Authorization: Basic "+basic)
}

// maxOutput bounds what a git that answers questions may say, in bytes.
const maxOutput = 4 << 20

// runGit returns what git prints; the error holds its complaint.
func runGit(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := gitCommand(ctx, env, args...)
	out, complaint := &head{limit: maxOutput}, &head{limit: maxComplaint}
	cmd.Stdout, cmd.Stderr = out, complaint
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", fmt.Errorf("%w: %s", err, complaint)
	}
	return string(out.kept), nil
}
