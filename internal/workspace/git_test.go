package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
)

// bundle is what most tests need.
type bundle struct {
	frontend *fakeFrontend
	log      *commandtest.Log
	parent   string
	options  Options
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{frontend: newFakeFrontend(t), log: commandtest.NewLog(), parent: t.TempDir()}
	b.options = Options{
		Log:          b.log,
		Frontend:     b.frontend.url,
		Password:     "shared-password",
		ExecutorName: "executor-1",
		ParentDir:    b.parent,
	}
	return b
}

func (b *bundle) prepare(t *testing.T, job api.Job) *Workspace {
	t.Helper()
	w, err := Prepare(t.Context(), job, b.options)
	require.NoError(t, err, "%+v", b.log.Entries())
	b.log.RequireClosed(t)
	return w
}

func (b *bundle) requireNothingLeft(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(b.parent)
	require.NoError(t, err)
	require.Empty(t, left)
}

// commands are the words of the git entries, with the changing parts replaced.
func (b *bundle) commands(w *Workspace) []string {
	var all []string
	port := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	for _, entry := range b.log.Entries() {
		if strings.HasPrefix(entry.Key, "setup.git.") {
			words := strings.ReplaceAll(strings.Join(entry.Command, " "), w.Dir, "WORKSPACE")
			all = append(all, entry.Key+": "+port.ReplaceAllString(words, "127.0.0.1:PORT"))
		}
	}
	return all
}

func readFile(t *testing.T, w *Workspace, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(w.Dir, path))
	require.NoError(t, err)
	return string(content)
}

func TestCloneRunsTheCommandsOfTheReference(t *testing.T) {
	t.Parallel()
	b := setup(t)
	repo := b.frontend.newRepo(t, repository)
	repo.write("docs/a.md", "docs")
	repo.write("src/b.go", "code")
	commit := repo.commit("one")

	start := func(dir, fetch string) []string {
		return []string{
			"setup.git.init: git -C " + dir + " init",
			"setup.git.add-remote: git -C " + dir + " remote add origin http://127.0.0.1:PORT/" + repository,
			"setup.git.disable-gc: git -C " + dir + " config --local gc.auto 0",
			"setup.git.fetch: git -C " + dir + " -c protocol.version=2 fetch --progress --no-recurse-submodules " + fetch,
		}
	}
	end := func(dir, checkout string) []string {
		return []string{
			"setup.git.checkout: git -C " + dir + " " + checkout,
			"setup.git.set-remote: git -C " + dir + " remote set-url origin " + repository,
		}
	}
	for name, test := range map[string]struct {
		job    api.Job
		dir    string
		fetch  string
		sparse []string
		absent string
	}{
		"plain": {
			job: api.Job{Commit: commit}, dir: "WORKSPACE", fetch: "origin " + commit,
		},
		"directory": {
			job: api.Job{Commit: commit, RepositoryDirectory: "a/./repository/"}, dir: "WORKSPACE/a/repository", fetch: "origin " + commit,
		},
		"rooted directory": {
			job: api.Job{Commit: commit, RepositoryDirectory: "/repository"}, dir: "WORKSPACE/repository", fetch: "origin " + commit,
		},
		"branch": {
			job: api.Job{Commit: "main"}, dir: "WORKSPACE", fetch: "origin main",
		},
		"shallow": {
			job: api.Job{Commit: commit, ShallowClone: true}, dir: "WORKSPACE", fetch: "--no-tags --depth=1 origin " + commit,
		},
		"tags": {
			job: api.Job{Commit: commit, FetchTags: true}, dir: "WORKSPACE", fetch: "--tags origin " + commit,
		},
		"shallow with tags": {
			job: api.Job{Commit: commit, ShallowClone: true, FetchTags: true}, dir: "WORKSPACE", fetch: "--tags --depth=1 origin " + commit,
		},
		"sparse": {
			job: api.Job{Commit: commit, ShallowClone: true, SparseCheckout: []string{"docs/*", "-weird"}},
			dir: "WORKSPACE", fetch: "--no-tags --depth=1 --filter=blob:none origin " + commit,
			sparse: []string{"docs/*", "-weird"}, absent: "src/b.go",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := *b
			b.log = commandtest.NewLog()
			b.options.Log = b.log
			test.job.ID, test.job.RepositoryName, test.job.Token = 42, repository, "0123abcd"
			w := b.prepare(t, test.job)

			want, checkout := start(test.dir, test.fetch), "checkout --progress --force "+test.job.Commit
			if test.sparse != nil {
				want = append(want,
					"setup.git.sparse-checkout-config: git -C "+test.dir+" config --local core.sparseCheckout 1",
					"setup.git.sparse-checkout-set: git -C "+test.dir+" sparse-checkout set --no-cone -- "+strings.Join(test.sparse, " "),
				)
				checkout = "-c protocol.version=2 " + checkout
			}
			require.Equal(t, append(want, end(test.dir, checkout)...), b.commands(w))
			for _, entry := range b.log.Entries() {
				require.Zero(t, entry.ExitCode, entry.Key)
			}
			dir := strings.TrimPrefix(strings.TrimPrefix(test.dir, "WORKSPACE"), "/")
			require.Equal(t, "docs", readFile(t, w, filepath.Join(dir, "docs/a.md")))
			_, err := os.Stat(filepath.Join(w.Dir, dir, "src/b.go"))
			require.Equal(t, test.absent != "", errors.Is(err, fs.ErrNotExist), err)
			require.Equal(t, commit, repo.git("-C", filepath.Join(w.Dir, dir), "rev-parse", "HEAD"))
			require.NoError(t, w.Remove(t.Context(), b.log))
		})
	}
}

func TestCloneSendsTheFrontendExactlyWhatItExpects(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ token, authorization string }{
		"job token":       {"0123abcd", "Bearer 0123abcd"},
		"shared password": {"", "token-executor shared-password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			repo := b.frontend.newRepo(t, repository)
			repo.write("a", "a")
			b.prepare(t, api.Job{ID: 42, Token: test.token, RepositoryName: repository, Commit: repo.commit("one")})

			requests := b.frontend.seen()
			require.NotEmpty(t, requests)
			for _, r := range requests {
				require.Equal(t, b.frontend.url.Host, r.Host)
				require.Contains(t, []string{
					"GET " + basePath + "/.executors/git/" + repository + "/info/refs?service=git-upload-pack",
					"POST " + basePath + "/.executors/git/" + repository + "/git-upload-pack",
				}, r.Method+" "+r.RequestURI)
				require.Equal(t, []string{test.authorization}, r.Header.Values("Authorization"))
				require.Equal(t, []string{"internal"}, r.Header.Values("X-Sourcegraph-Actor-UID"))
				require.Equal(t, []string{"42"}, r.Header.Values("X-Sourcegraph-Job-ID"))
				require.Equal(t, []string{"executor-1"}, r.Header.Values("X-Sourcegraph-Executor-Name"))
				require.Equal(t, []string{"version=2"}, r.Header.Values("Git-Protocol"))
				require.Empty(t, r.Header.Values(secretHeader))
				require.Empty(t, r.Header.Values("X-Forwarded-For"))
			}
		})
	}
}

func TestCloneLeavesNoTraceOfTheProxy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	repo := b.frontend.newRepo(t, repository)
	repo.write("docs/a", "a")
	repo.commit("one")
	repo.git("tag", "v1")
	w := b.prepare(t, api.Job{
		ID: 42, Token: "0123abcd4567", RepositoryName: repository, Commit: "main", FetchTags: true, SparseCheckout: []string{"docs/*"},
	})
	files := 0
	require.NoError(t, filepath.WalkDir(w.Dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		if entry.Type().IsRegular() {
			files++
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			for _, trace := range []string{"127.0.0.1", "0123abcd4567", "shared-password", secretHeader} {
				require.NotContains(t, string(content), trace, path)
			}
		}
		return nil
	}))
	require.Greater(t, files, 5)
	require.Contains(t, readFile(t, w, ".git/FETCH_HEAD"), "branch 'main' of "+repository)

	fetched := b.log.Entry(t, "setup.git.fetch").Out
	require.Regexp(t, `(?m)^stderr: From http://127\.0\.0\.1:\d+/`+repository+`$`, fetched)
}

func TestCloneReadsNoConfigurationOfTheHost(t *testing.T) {
	b := setup(t)
	repo := b.frontend.newRepo(t, repository)
	repo.write("a", "a")
	repo.write(".gitattributes", "* filter=host\n")
	commit := repo.commit("one")

	home, witness := t.TempDir(), filepath.Join(t.TempDir(), "host-ran")
	hooks := filepath.Join(home, "hooks")
	require.NoError(t, os.MkdirAll(hooks, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(hooks, "post-checkout"), []byte("#!/bin/sh\ntouch "+witness+"\n"), 0o755))
	config := "[filter \"host\"]\n\tsmudge = touch " + witness + "; cat\n[core]\n\thooksPath = " + hooks + "\n[http]\n\tproxy = http://127.0.0.1:1\n[url \"http://127.0.0.1:2/\"]\n\tinsteadOf = http://\n"
	require.NoError(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o644))
	t.Setenv("HOME", home)
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	t.Setenv("no_proxy", "")

	w := b.prepare(t, api.Job{ID: 1, RepositoryName: repository, Commit: commit})
	require.Equal(t, "a", readFile(t, w, "a"))
	require.NoFileExists(t, witness)
}

func TestCloneTakesOddRepositoryNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{"plain", "with space", "per%2fcent", "quest?ion#mark", "ünï/cødé", "a:b@c+d/~e", "dots..dots/.hidden"} {
		repo := b.frontend.newRepo(t, name)
		repo.write("a", name)
		w := b.prepare(t, api.Job{ID: 1, RepositoryName: name, Commit: repo.commit("one")})
		require.Equal(t, name, readFile(t, w, "a"))
		require.Equal(t, name, repo.git("-C", w.Dir, "config", "remote.origin.url"))
	}
}

func TestPrepareRefusesHostileNames(t *testing.T) {
	t.Parallel()
	for name, job := range map[string]api.Job{
		"option as commit":         {RepositoryName: "r", Commit: "--upload-pack=touch /tmp/x"},
		"no commit":                {RepositoryName: "r"},
		"refspec":                  {RepositoryName: "r", Commit: "main:refs/heads/other"},
		"forced refspec":           {RepositoryName: "r", Commit: "+main"},
		"negative refspec":         {RepositoryName: "r", Commit: "^main"},
		"pattern":                  {RepositoryName: "r", Commit: "refs/heads/*"},
		"range":                    {RepositoryName: "r", Commit: "a..b"},
		"newline in commit":        {RepositoryName: "r", Commit: "main\nx"},
		"NUL in commit":            {RepositoryName: "r", Commit: "main\x00"},
		"space in commit":          {RepositoryName: "r", Commit: "main dev"},
		"option as repository":     {RepositoryName: "--upload-pack=x", Commit: "main"},
		"parent in repository":     {RepositoryName: "a/../../b", Commit: "main"},
		"self in repository":       {RepositoryName: "a/./b", Commit: "main"},
		"rooted repository":        {RepositoryName: "/etc", Commit: "main"},
		"double slash":             {RepositoryName: "a//b", Commit: "main"},
		"trailing slash":           {RepositoryName: "a/", Commit: "main"},
		"newline in repository":    {RepositoryName: "a\nb", Commit: "main"},
		"directory above":          {RepositoryName: "r", Commit: "main", RepositoryDirectory: "../x"},
		"directory far above":      {RepositoryName: "r", Commit: "main", RepositoryDirectory: "a/../../../x"},
		"rooted directory above":   {RepositoryName: "r", Commit: "main", RepositoryDirectory: "/../x"},
		"NUL in directory":         {RepositoryName: "r", Commit: "main", RepositoryDirectory: "a\x00"},
		"sibling of the workspace": {RepositoryName: "r", Commit: "main", RepositoryDirectory: "../workspace-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w, err := Prepare(t.Context(), job, b.options)
			require.Error(t, err)
			require.Nil(t, w)
			require.Equal(t, fault.User, fault.ClassOf(err), err)
			if job.RepositoryDirectory != "" {
				require.ErrorContains(t, err, "is not a sub-directory of the workspace")
			}
			require.Empty(t, b.log.Entries())
			b.requireNothingLeft(t)
		})
	}
}

func TestPrepareNamesTheFailingCommandAndCleansUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.frontend.newRepo(t, repository).write("a", "a")
	w, err := Prepare(t.Context(), api.Job{ID: 1, RepositoryName: repository, Commit: "no-such-branch"}, b.options)
	require.Nil(t, w)
	require.EqualError(t, err, "failed setup.git.fetch: command failed with exit code 128")
	b.log.RequireClosed(t)
	entry := b.log.Entry(t, "setup.git.fetch")
	require.Equal(t, 128, entry.ExitCode)
	require.Contains(t, entry.Out, "no-such-branch")
	require.NotContains(t, entry.Out, "frontend")
	b.requireNothingLeft(t)
}
