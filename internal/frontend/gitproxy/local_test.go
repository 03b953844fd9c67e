package gitproxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// newDir makes a repositories directory with plain and bare repositories at several depths.
func newDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	newRepository(t, filepath.Join(dir, "plain"))
	git(t, "clone", "--quiet", "--bare", filepath.Join(dir, "plain"), filepath.Join(dir, "team", "bare.git"))
	git(t, "clone", "--quiet", "--bare", filepath.Join(dir, "plain"), filepath.Join(dir, "team", "nosuffix"))
	return dir
}

func TestCloneOfLocalRepositories(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, "-C", filepath.Join(dir, "plain"), "worktree", "add", "--quiet", linked, "feature/x")
	_, url := newServer(t, Config{Dir: dir, Repositories: map[string]Repository{
		"example.com/own": {Path: filepath.Join(dir, "plain")},
		"bare":            {Path: filepath.Join(dir, "team", "bare.git")},
		"linked":          {Path: linked},
	}})
	head := git(t, "-C", filepath.Join(dir, "plain"), "rev-parse", "main")
	for _, name := range []string{"plain", "plain.git", "team/bare", "team/bare.git", "team/nosuffix", "example.com/own", "bare", "linked"} {
		versions := []string{"2"}
		if name == "plain" {
			versions = []string{"0", "1", "2"}
		}
		for _, version := range versions {
			t.Run(name+" v"+version, func(t *testing.T) {
				t.Parallel()
				clone := filepath.Join(t.TempDir(), "clone")
				git(t, "-c", "protocol.version="+version, "clone", "--quiet", url+"/"+name, clone)
				require.Equal(t, head, git(t, "-C", clone, "rev-parse", "origin/main"))
				require.Equal(t, "light\nv1", git(t, "-C", clone, "tag"))
				git(t, "-C", clone, "fsck", "--strict")
				// A second fetch negotiates.
				git(t, "-C", clone, "-c", "protocol.version="+version, "fetch", "--quiet", "origin")
			})
		}
	}
}

// What an executor does, with each combination of its flags (spec executor 4.2.1).
func TestExecutorsFetch(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	_, url := newServer(t, Config{Dir: dir})
	commit := git(t, "-C", filepath.Join(dir, "plain"), "rev-parse", "main~1")
	for name, flags := range map[string][]string{
		"full":    nil,
		"tags":    {"--tags"},
		"shallow": {"--no-tags", "--depth=1"},
		"sparse":  {"--no-tags", "--depth=1", "--filter=blob:none"},
	} {
		for _, version := range []string{"0", "2"} {
			t.Run(name+" v"+version, func(t *testing.T) {
				t.Parallel()
				clone := filepath.Join(t.TempDir(), "clone")
				git(t, "init", "--quiet", clone)
				git(t, "-C", clone, "remote", "add", "origin", url+"/plain")
				protocol := "protocol.version=" + version
				fetch := append([]string{"-C", clone, "-c", protocol, "fetch", "--quiet", "--no-recurse-submodules"}, flags...)
				git(t, append(fetch, "origin", commit)...)
				if name == "sparse" {
					git(t, "-C", clone, "config", "core.sparseCheckout", "1")
					git(t, "-C", clone, "sparse-checkout", "set", "--no-cone", "--", "docs/*")
					missing := git(t, "-C", clone, "rev-list", "--objects", "--missing=print", "FETCH_HEAD")
					require.Contains(t, missing, "?", "file contents were filtered out")
				}
				git(t, "-C", clone, "-c", protocol, "checkout", "--quiet", "--force", commit)
				require.Equal(t, commit, git(t, "-C", clone, "rev-parse", "HEAD"))
				require.FileExists(t, filepath.Join(clone, "docs", "one"))
				if name == "sparse" {
					require.NoFileExists(t, filepath.Join(clone, "README"))
				}
			})
		}
	}
}

func TestPushIsRefused(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	_, url := newServer(t, Config{Dir: dir})
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, "clone", "--quiet", url+"/team/bare", clone)
	git(t, "-C", clone, "commit", "--quiet", "--allow-empty", "--message", "mine")
	out, err := tryGit(t, "-C", clone, "push", "origin", "HEAD:main")
	require.Error(t, err)
	require.Contains(t, out, "403")
}

// A served repository's own files must not make the frontend run anything.
func TestRepositoryConfigurationRunsNothing(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	trap, repository := filepath.Join(t.TempDir(), "sprung"), filepath.Join(dir, "team", "bare.git")
	script := "#!/bin/sh\necho sprung > " + trap + "\nexec \"$@\"\n"
	program := filepath.Join(repository, "program")
	require.NoError(t, os.WriteFile(program, []byte(script), 0o755))
	for _, key := range []string{"uploadpack.packObjectsHook", "core.fsmonitor", "core.sshCommand", "core.pager", "core.alternateRefsCommand", "credential.helper"} {
		git(t, "-C", repository, "config", key, program)
	}
	for _, hook := range []string{"post-checkout", "pre-receive", "reference-transaction", "update"} {
		require.NoError(t, os.WriteFile(filepath.Join(repository, "hooks", hook), []byte(script), 0o755))
	}
	server, url := newServer(t, Config{Dir: dir})
	git(t, "clone", "--quiet", url+"/team/bare", filepath.Join(t.TempDir(), "clone"))
	_, err := server.Resolve(t.Context(), "team/bare", "main")
	require.NoError(t, err)
	require.NoFileExists(t, trap)
}

func TestNothingOutsideTheDirectoryIsServed(t *testing.T) {
	t.Parallel()
	dir, outside := newDir(t), filepath.Join(t.TempDir(), "secret")
	newRepository(t, outside)
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink(filepath.Join(outside, ".git"), filepath.Join(dir, "team", "link.git")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "halfway"), 0o755))
	require.NoError(t, os.Symlink(filepath.Join(outside, ".git"), filepath.Join(dir, "halfway", ".git")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "pointer"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pointer", ".git"), []byte("gitdir: "+filepath.Join(outside, ".git")), 0o644))
	require.NoError(t, os.Symlink(filepath.Join(dir, "plain"), filepath.Join(dir, "alias")))
	escape, err := filepath.Rel(dir, outside)
	require.NoError(t, err)

	server, err := newRegistry(nil, dir)
	require.NoError(t, err)
	for _, name := range []string{
		"link", "team/link", "team/link.git", "halfway", "pointer", escape, outside, "/plain", "plain/", "./plain", "plain/.", "plain/../plain",
		"plain/.git", "plain/.GIT", "", ".", "..", "team", "team//bare", "team\\bare", "plain\x00", "plain\n", ".git", strings.Repeat("a/", 600) + "a",
	} {
		_, ok := server.find(name)
		require.False(t, ok, name)
	}
	for _, name := range []string{"plain", "alias", "team/bare"} {
		_, ok := server.find(name)
		require.True(t, ok, "%s lies within the directory", name)
	}
	require.ElementsMatch(t, []string{"plain", "team/bare", "team/nosuffix"}, server.names())
}

func TestConfigurationErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"neither path nor URL":   {Config{Repositories: map[string]Repository{"a": {}}}, `repository "a": set either a path or a URL`},
		"both":                   {Config{Repositories: map[string]Repository{"a": {Path: "/x", URL: "https://h/x"}}}, "either"},
		"bad name":               {Config{Repositories: map[string]Repository{"a/../b": {Path: "/x"}}}, `repository name "a/../b"`},
		"credentials in the URL": {Config{Repositories: map[string]Repository{"a": {URL: "https://me:s3cret@h/x"}}}, "holds credentials"},
		"broken URL":             {Config{Repositories: map[string]Repository{"a": {URL: "https://me:s3cret@h:x/%zz"}}}, "can't be parsed"},
		"other scheme":           {Config{Repositories: map[string]Repository{"a": {URL: "ssh://h/x"}}}, "https://"},
		"no host":                {Config{Repositories: map[string]Repository{"a": {URL: "https:///x"}}}, "https://"},
		"query":                  {Config{Repositories: map[string]Repository{"a": {URL: "https://h/x?y=z"}}}, "query"},
		"missing directory":      {Config{Dir: filepath.Join(t.TempDir(), "none")}, "repositories directory"},
	} {
		_, err := newRegistry(test.config.Repositories, test.config.Dir)
		require.ErrorContains(t, err, test.want, name)
		require.NotContains(t, err.Error(), "s3cret", name)
	}
}

func FuzzNames(f *testing.F) {
	for _, name := range []string{"a", "a/b", "../a", "/a", "a//b", "a/./b", "a/.git/b", "a\\b", "a\x00", "..."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if validName(name) && !filepath.IsLocal(filepath.FromSlash(name)) {
			t.Fatalf("%q leads out of the directory", name)
		}
	})
}
