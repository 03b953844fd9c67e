package gitproxy

import (
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-executor/executor/internal/fault"
)

// Repository is where a named repository is: exactly one of Path and URL is set.
type Repository struct {
	// Path is a local repository, bare or with a work tree.
	Path string
	// URL is a remote one, http or https, as one would clone it, without credentials.
	URL string
	// Username and Password are sent to the remote as Basic credentials unless both are empty. No executor ever sees them.
	Username, Password string
}

// Bounds of a walk through the repositories directory, when names are suggested.
const (
	maxWalkDepth = 4
	maxWalkNames = 1000
)

// registry finds repositories by name.
type registry struct {
	named map[string]Repository
	// dir is the real path of the directory below which every repository is served by its relative path; empty for none.
	dir string
}

func newRegistry(named map[string]Repository, dir string) (registry, error) {
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !validName(name) {
			return registry{}, fault.Operatorf("repository name %q: want segments separated by single slashes, none of them empty, \".\", \"..\" or \".git\"", name)
		}
		if err := named[name].check(); err != nil {
			return registry{}, fault.Operatorf("repository %q: %w", name, err)
		}
	}
	if dir != "" {
		resolved, err := realDir(dir)
		if err != nil {
			return registry{}, fault.Operatorf("repositories directory: %w", err)
		}
		dir = resolved
	}
	return registry{named: maps.Clone(named), dir: dir}, nil
}

func (r Repository) check() error {
	if (r.Path == "") == (r.URL == "") {
		return fault.Operatorf("set either a path or a URL")
	}
	if r.URL == "" {
		return nil
	}
	// An error of url.Parse would repeat the URL, and with it a password that stands there by mistake.
	parsed, err := url.Parse(r.URL)
	if err != nil {
		return fault.Operatorf("the URL can't be parsed")
	}
	switch {
	case parsed.User != nil:
		return fault.Operatorf("the URL of host %q holds credentials; give them as user name and password instead", parsed.Host)
	case parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Host == "":
		return fault.Operatorf("URL %q: want https://… or http://…", r.URL)
	case parsed.RawQuery != "" || parsed.Fragment != "":
		return fault.Operatorf("URL %q must have no query and no fragment", r.URL)
	}
	return nil
}

func realDir(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// validName keeps names from leaving the repositories directory and from reaching into a repository's own files.
func validName(name string) bool {
	if len(name) > 1024 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return false
	}
	for segment := range strings.SplitSeq(name, "/") {
		switch strings.ToLower(segment) {
		case "", ".", "..", ".git":
			return false
		}
	}
	return true
}

// found is a repository that exists: gitDir for a local one, else remote.
type found struct {
	gitDir string
	remote *Repository
}

// find looks a repository up; false when there is none of that name.
func (r registry) find(name string) (found, bool) {
	if repository, ok := r.named[name]; ok {
		if repository.URL != "" {
			return found{remote: &repository}, true
		}
		gitDir, ok := gitDirOf(repository.Path)
		return found{gitDir: gitDir}, ok
	}
	if r.dir == "" || !validName(name) {
		return found{}, false
	}
	for _, candidate := range []string{name, name + ".git", strings.TrimSuffix(name, ".git")} {
		if gitDir, ok := r.below(candidate); ok {
			return found{gitDir: gitDir}, true
		}
	}
	return found{}, false
}

// below finds a repository in the repositories directory. Its real path has to lie there too: a symbolic link out of the directory
// serves nothing, and neither does a .git file that points elsewhere.
func (r registry) below(name string) (gitDir string, ok bool) {
	if name == "" {
		return "", false
	}
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	for _, candidate := range []string{filepath.Join(path, ".git"), path} {
		resolved, err := filepath.EvalSymlinks(candidate)
		if err == nil && strings.HasPrefix(resolved, r.dir+string(filepath.Separator)) && isGitDir(resolved) {
			return resolved, true
		}
	}
	return "", false
}

// gitDirOf finds the git directory of a repository that the operator named: its own, that of its work tree, or the one that the
// .git file of a linked work tree or submodule names.
func gitDirOf(path string) (string, bool) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", false
	}
	inner := filepath.Join(path, ".git")
	if isGitDir(inner) {
		return inner, true
	}
	if raw, err := os.ReadFile(inner); err == nil {
		target, ok := strings.CutPrefix(strings.TrimSpace(string(raw)), "gitdir: ")
		if !filepath.IsAbs(target) {
			target = filepath.Join(path, target)
		}
		return target, ok && isGitDir(target)
	}
	return path, isGitDir(path)
}

// isGitDir recognises a git directory as git does, by HEAD and the objects (or, in a linked work tree, the way to them).
func isGitDir(path string) bool {
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(path, name))
		return err == nil
	}
	return exists("HEAD") && (exists("objects") && exists("refs") || exists("commondir"))
}

// names lists known repositories for suggestions; incomplete in very large directories.
func (r registry) names() []string {
	names := slices.Collect(maps.Keys(r.named))
	if r.dir == "" {
		return names
	}
	_ = filepath.WalkDir(r.dir, func(path string, entry fs.DirEntry, err error) error {
		relative, relErr := filepath.Rel(r.dir, path)
		if err != nil || relErr != nil || !entry.IsDir() || relative == "." {
			return nil
		}
		name := filepath.ToSlash(relative)
		if _, ok := r.below(name); ok {
			names = append(names, strings.TrimSuffix(name, ".git"))
			return fs.SkipDir
		}
		if len(names) >= maxWalkNames {
			return fs.SkipAll
		}
		if strings.Count(name, "/")+1 >= maxWalkDepth {
			return fs.SkipDir
		}
		return nil
	})
	return names
}
