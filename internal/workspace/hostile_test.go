package workspace

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
)

// snapshot describes everything below dir except the workspace in it.
func snapshot(t *testing.T, dir, workspace string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		if path == workspace {
			return fs.SkipDir
		}
		info, err := entry.Info()
		require.NoError(t, err)
		all[path] = info.Mode().String()
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			all[path] += string(content) + info.ModTime().String()
		}
		return nil
	}))
	return all
}

func TestRepositoryCannotRedirectWrites(t *testing.T) {
	t.Parallel()
	job := api.Job{
		ID:          42,
		Files:       map[string]api.File{"input.json": text("ours"), "dir/file": text("ours")},
		DockerSteps: []api.DockerStep{{Commands: []string{"true"}}},
	}
	for name, test := range map[string]struct {
		// plant puts something into the repository; outside is a directory that must not change.
		plant func(r repo, outside string)
		// refusal is what the error says; empty when the write is made safe instead.
		refusal string
	}{
		"scripts directory is a link out": {func(r repo, outside string) { r.symlink(".sourcegraph-executor", outside) }, ""},
		"scripts directory is a link in":  {func(r repo, _ string) { r.symlink(".sourcegraph-executor", ".git/hooks") }, ""},
		"scripts directory is a file":     {func(r repo, _ string) { r.write(".sourcegraph-executor", "theirs") }, ""},
		"scripts directory has content":   {func(r repo, _ string) { r.write(".sourcegraph-executor/x", "theirs") }, ""},
		"script is a link": {func(r repo, outside string) {
			r.symlink(".sourcegraph-executor/42.0_"+strings.ReplaceAll(repository, "/", "_")+"@main.sh", filepath.Join(outside, "witness"))
		}, ""},
		"file is a link out":        {func(r repo, outside string) { r.symlink("input.json", filepath.Join(outside, "witness")) }, ""},
		"file is a relative link":   {func(r repo, _ string) { r.symlink("input.json", "../outside/witness") }, ""},
		"file is a dangling link":   {func(r repo, outside string) { r.symlink("input.json", filepath.Join(outside, "new")) }, ""},
		"file is a link in":         {func(r repo, _ string) { r.symlink("input.json", ".git/config") }, ""},
		"file is a loop":            {func(r repo, _ string) { r.symlink("input.json", "input.json") }, ""},
		"file exists":               {func(r repo, _ string) { r.write("input.json", "theirs, and longer than ours") }, ""},
		"parent is a link out":      {func(r repo, outside string) { r.symlink("dir", outside) }, `refusing to write outside of working directory: "dir" is a symbolic link`},
		"parent is a relative link": {func(r repo, _ string) { r.symlink("dir", "../outside") }, `"dir" is a symbolic link`},
		"parent is a link in":       {func(r repo, _ string) { r.symlink("dir", ".git") }, `"dir" is a symbolic link`},
		"parent is a file":          {func(r repo, _ string) { r.write("dir", "theirs") }, `"dir" is a file, not a directory`},
		"file is a directory":       {func(r repo, _ string) { r.write("input.json/x", "theirs") }, `"input.json" is a directory, not a file`},
		"file is a submodule":       {func(r repo, _ string) { r.submodule("input.json") }, `"input.json" is a directory, not a file`},
		"submodule named like ours": {func(r repo, _ string) { r.submodule(".sourcegraph-executor") }, ""},
		"attributes name a filter": {func(r repo, _ string) {
			r.write(".gitattributes", "* filter=evil merge=evil diff=evil working-tree-encoding=UTF-8\n")
		}, ""},
		"hooks in the tree": {func(r repo, _ string) { r.write("hooks/post-checkout", "#!/bin/sh\nexit 1\n") }, ""},
		"own modules configuration": {func(r repo, _ string) {
			r.write(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c false\n\tupdate = !false\n")
		}, ""},
		"large file fetched lazily": {func(r repo, _ string) { r.write(".lfsconfig", "[lfs]\n\turl = http://127.0.0.1:1\n") }, ""},
		"configuration in the tree": {func(r repo, _ string) { r.write(".gitconfig", "[core]\n\tfsmonitor = false\n") }, ""},
		"bare repository in the tree": {func(r repo, _ string) {
			r.write("bare/HEAD", "ref: refs/heads/x\n")
			r.write("bare/config", "[core]\n\tfsmonitor = false\n")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			outside := filepath.Join(b.parent, "outside")
			require.NoError(t, os.Mkdir(outside, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(outside, "witness"), []byte("untouched"), 0o644))
			repo := b.frontend.newRepo(t, repository)
			repo.write("a", "a")
			test.plant(repo, outside)
			repo.commit("hostile")
			job := job
			job.RepositoryName, job.Commit = repository, "main"

			w, err := Prepare(t.Context(), job, b.options)
			b.log.RequireClosed(t)
			if test.refusal != "" {
				require.ErrorContains(t, err, test.refusal)
				require.Equal(t, fault.User, fault.ClassOf(err))
				require.Contains(t, b.log.Entry(t, "setup.fs.extras").Out, test.refusal)
			} else {
				require.NoError(t, err)
				require.Equal(t, "ours", readFile(t, w, "input.json"))
				require.Equal(t, "ours", readFile(t, w, "dir/file"))
				require.Equal(t, preamble+"\ntrue\n", readFile(t, w, ".sourcegraph-executor/"+w.Scripts[0]))
				for _, path := range []string{"input.json", "dir", ".sourcegraph-executor", ".sourcegraph-executor/" + w.Scripts[0]} {
					info, err := os.Lstat(filepath.Join(w.Dir, path))
					require.NoError(t, err)
					require.NotEqual(t, fs.ModeSymlink, info.Mode().Type(), path)
				}
				require.NotContains(t, readFile(t, w, ".git/config"), "ours")
				require.NoError(t, w.Remove(t.Context(), b.log))
			}
			require.Equal(t, []string{outside, filepath.Join(outside, "witness")}, slices.Sorted(maps.Keys(snapshot(t, outside, ""))))
			content, err := os.ReadFile(filepath.Join(outside, "witness"))
			require.NoError(t, err)
			require.Equal(t, "untouched", string(content))
			left, err := os.ReadDir(b.parent)
			require.NoError(t, err)
			require.Len(t, left, 1, "only the directory outside")
		})
	}
}

// submodule plants a link to a commit elsewhere; a checkout makes an empty directory of it.
func (r repo) submodule(path string) {
	r.t.Helper()
	r.git("add", "--all")
	r.git("commit", "--message", "before")
	r.git("update-index", "--add", "--cacheinfo", "160000,"+r.git("rev-parse", "HEAD")+","+path)
	require.NoError(r.t, os.MkdirAll(filepath.Join(r.dir, path), 0o755))
}

func TestHardLinksAreNotWrittenThrough(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	workspace, outside := filepath.Join(dir, "workspace"), filepath.Join(dir, "witness")
	require.NoError(t, os.Mkdir(workspace, 0o700))
	require.NoError(t, os.WriteFile(outside, []byte("untouched"), 0o600))
	require.NoError(t, os.Link(outside, filepath.Join(workspace, "file")))
	tree, err := openTree(workspace)
	require.NoError(t, err)
	defer tree.Close()
	_, err = writeExtras(t.Context(), tree, api.Job{Files: map[string]api.File{"file": text("ours")}}, Options{Log: commandtest.NewLog()})
	require.NoError(t, err)
	content, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "untouched", string(content))
	info, err := os.Stat(outside)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
}

// Whatever the paths of a job and the links of a repository are, nothing outside of the workspace changes.
func FuzzNothingOutsideChanges(f *testing.F) {
	for _, seed := range [][3]string{
		{"a", "link", ".."},
		{"link/witness", "link", ".."},
		{"link/../../witness", "link", "/"},
		{"../witness", "a", "b"},
		{"/../witness", "a", "b"},
		{"./link/./x", "link", "../outside"},
		{"dir/link/x", "dir/link", "../../outside"},
		{"link", "link", "../witness"},
		{"a/b", "a", "."},
		{".sourcegraph-executor/x", ".sourcegraph-executor", "../outside"},
		{".sourcegraph-executor/42.0_@.sh", ".sourcegraph-executor/42.0_@.sh", "../../witness"},
		{"..\\witness", "..\\", ".."},
		{"\x00/../witness", "\x00", ".."},
		{"link/\xff", "link", "link"},
		{"", "", ""},
		{"..", "...", ".."},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, path, link, target string) {
		dir := t.TempDir()
		workspace := filepath.Join(dir, "workspace")
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "outside"), 0o755))
		require.NoError(t, os.Mkdir(workspace, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "witness"), []byte("untouched"), 0o644))
		plantLink(workspace, link, strings.ReplaceAll(target, "DIR", dir))
		before := snapshot(t, dir, workspace)

		tree, err := openTree(workspace)
		require.NoError(t, err)
		defer tree.Close()
		job := api.Job{ID: 42, Files: map[string]api.File{path: text("ours")}, DockerSteps: []api.DockerStep{{}}}
		log := commandtest.NewLog()
		_, err = writeExtras(t.Context(), tree, job, Options{Log: log})
		log.RequireClosed(t)
		require.Equal(t, before, snapshot(t, dir, workspace))
		if err == nil {
			local, ok := localPath(path)
			require.True(t, ok)
			content, err := (&Workspace{Dir: workspace}).TakeFile(path, 1<<20)
			require.NoError(t, err)
			// A file may have the name of a script, which is written last.
			require.Contains(t, []string{"ours", script(api.DockerStep{})}, string(content))
			require.NoFileExists(t, filepath.Join(workspace, local))
			require.Equal(t, before, snapshot(t, dir, workspace))
		}
	})
}

// plantLink makes a symbolic link inside the workspace where it can.
func plantLink(workspace, link, target string) {
	if !filepath.IsLocal(link) || strings.ContainsRune(link, 0) {
		return
	}
	path := filepath.Join(workspace, link)
	if os.MkdirAll(filepath.Dir(path), 0o755) == nil {
		_ = os.Symlink(target, path)
	}
}
