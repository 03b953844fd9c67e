package workspace

import (
	"path/filepath"
	"strings"
	"unicode"

	"github.com/open-executor/executor/internal/fault"
)

// checkRepository refuses names that git could read as an option, or that name something else than they seem to.
func checkRepository(name string) error {
	if strings.HasPrefix(name, "-") || strings.ContainsFunc(name, unicode.IsControl) {
		return fault.Userf("repository name %q must not begin with - or contain control characters", name)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fault.Userf("repository name %q must not have empty parts or the parts . and ..", name)
		}
	}
	return nil
}

// checkCommit refuses what git could read as anything but one commit, branch or tag: options, refspecs, patterns.
func checkCommit(commit string) error {
	if commit == "" {
		return fault.Userf("no commit given for the repository")
	}
	odd := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(` ~^:?*[\`, r) }
	if strings.HasPrefix(commit, "-") || strings.HasPrefix(commit, "+") || strings.ContainsFunc(commit, odd) || strings.Contains(commit, "..") {
		return fault.Userf("commit %q is neither a commit id nor the name of a branch or tag", commit)
	}
	return nil
}

// localPath makes a job's path relative to the workspace: leading slashes mean the workspace itself, as in the reference.
// It returns false for a path that would leave it.
func localPath(path string) (string, bool) {
	local := filepath.Clean("./" + strings.TrimLeft(path, "/"))
	return local, filepath.IsLocal(local) && !strings.ContainsRune(local, 0)
}
