package staging

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/program/programtest"
	"github.com/open-executor/executor/dev/release/provenance"
	"github.com/open-executor/executor/dev/release/sbom"
)

const (
	versionVariable = "github.com/open-executor/executor/internal/version.version"

	goMod = "module example.com/main\n\ngo 1.26\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v2.0.0+incompatible\n)\n"
	goSum = "example.com/a v1.0.0 h1:YQ==\nexample.com/b v2.0.0+incompatible h1:Yg==\n"

	// fromGo is what the go command writes.
	fromGo = "path\texample.com/main/cmd/executor\nmod\texample.com/main\t(devel)\t\ndep\texample.com/a\tv1.0.0\th1:YQ==\nbuild\tvcs.revision=" + commit + "\n"
	commit = "0123456789012345678901234567890123456789"
)

// executors are what Bazel builds: they name no modules. On arm64 there is one more.
func executors() (amd64, arm64 programtest.Program) {
	stamped := map[string]string{versionVariable: "5.2.0"}
	return programtest.Program{Machine: elf.EM_X86_64, GoVersion: "go1.26.8", Symbols: stamped},
		programtest.Program{Machine: elf.EM_AARCH64, GoVersion: "go1.26.8", Symbols: stamped}
}

// release writes the files of a release and describes it.
func release(t *testing.T, amd64, arm64 programtest.Program) Release {
	t.Helper()
	dir := t.TempDir()
	put := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	put("go.mod", goMod)
	put("go.sum", goSum)
	return Release{
		Executors: []Executor{
			{Arch: "amd64", Path: put("amd64", string(amd64.Bytes())), Packages: put("amd64.packages", "fmt\nexample.com/main/cmd/executor\nexample.com/a/x\n")},
			{Arch: "arm64", Path: put("arm64", string(arm64.Bytes())), Packages: put("arm64.packages", "example.com/a/x\nexample.com/b\n")},
		},
		Commit: commit, CommitTime: time.Unix(1_700_000_000, 0), Version: "5.2.0", ModuleDir: dir, Info: put("info", "commit 0123\n"),
		SourceURL: "https://example.com/main.git", Target: "//cmd/executor:binary.push", Branch: "main", Tag: "v5.2.0",
		Run: provenance.Run{URL: "https://ci.example.com/7"},
	}
}

// contents reads a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			var content []byte
			content, err = os.ReadFile(filepath.Join(dir, name))
			found[name] = string(content)
		}
		return err
	}))
	return found
}

func TestWritesADirectoryThatChecksItself(t *testing.T) {
	t.Parallel()
	amd64, arm64 := executors()
	dir := t.TempDir()
	require.NoError(t, release(t, amd64, arm64).Write(dir))
	found := contents(t, dir)
	require.Len(t, found, 10)
	require.Equal(t, string(amd64.Bytes()), found["linux-amd64/executor"])
	require.Equal(t, string(arm64.Bytes()), found["linux-arm64/executor"])
	require.Equal(t, "commit 0123\n", found["info.txt"])
	require.Equal(t, commit+"\n", found["COMMIT"])
	for _, platform := range []string{"linux-amd64", "linux-arm64"} {
		require.Equal(t, fmt.Sprintf("%x  executor\n", sha256.Sum256([]byte(found[platform+"/executor"]))), found[platform+"/executor_SHA256SUM"])
		info, err := os.Stat(filepath.Join(dir, platform, "executor"))
		require.NoError(t, err)
		require.EqualValues(t, 0o755, info.Mode())
	}
	summed := make(map[string]bool)
	for line := range strings.Lines(found["SHA256SUMS"]) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		require.True(t, ok)
		require.Equal(t, fmt.Sprintf("%x", sha256.Sum256([]byte(found[name]))), sum, name)
		summed[name] = true
	}
	require.Len(t, summed, 8, "all but itself and the provenance, which names the run")
}

func TestDescribesWhatIsInEachExecutor(t *testing.T) {
	t.Parallel()
	amd64, arm64 := executors()
	dir := t.TempDir()
	require.NoError(t, release(t, amd64, arm64).Write(dir))
	found := contents(t, dir)
	names := func(platform string) []string {
		var document sbom.Document
		require.NoError(t, json.Unmarshal([]byte(found[platform+"/executor.spdx.json"]), &document))
		require.Contains(t, document.Comment, "as Bazel's build graph names them")
		var names []string
		for _, p := range document.Packages {
			names = append(names, p.Name)
		}
		return names
	}
	require.Equal(t, []string{"executor", "example.com/main", "stdlib", "example.com/a"}, names("linux-amd64"))
	require.Equal(t, []string{"executor", "example.com/main", "stdlib", "example.com/a", "example.com/b"}, names("linux-arm64"))

	var statement provenance.Statement
	require.NoError(t, json.Unmarshal([]byte(found["provenance.json"]), &statement))
	require.Len(t, statement.Subject, 2)
	for _, subject := range statement.Subject {
		require.Equal(t, fmt.Sprintf("%x", sha256.Sum256([]byte(found[subject.Name]))), subject.Digest["sha256"])
	}
	require.Len(t, statement.Predicate.RunDetails.Byproducts, 6)
	require.Len(t, statement.Predicate.BuildDefinition.ResolvedDependencies, 4, "the source, Go, and each module once")
	require.Equal(t, "v5.2.0", statement.Predicate.BuildDefinition.ExternalParameters.Tag)
}

func TestTakesTheModulesThatTheGoCommandWrote(t *testing.T) {
	t.Parallel()
	amd64, arm64 := executors()
	amd64.Modules = fromGo
	r := release(t, amd64, arm64)
	r.Executors[0].Packages = ""
	dir := t.TempDir()
	require.NoError(t, r.Write(dir))
	require.Contains(t, contents(t, dir)["linux-amd64/executor.spdx.json"], "The modules are those that the go command wrote into the program.")
}

func TestSameReleaseSameBytes(t *testing.T) {
	t.Parallel()
	amd64, arm64 := executors()
	first, second := t.TempDir(), t.TempDir()
	require.NoError(t, release(t, amd64, arm64).Write(first))
	require.NoError(t, release(t, amd64, arm64).Write(second))
	require.Equal(t, contents(t, first), contents(t, second))

	// Another run of the same commit differs in nothing but the provenance.
	other := release(t, amd64, arm64)
	other.Run.URL = "https://ci.example.com/8"
	third := t.TempDir()
	require.NoError(t, other.Write(third))
	a, b := contents(t, first), contents(t, third)
	require.NotEqual(t, a["provenance.json"], b["provenance.json"])
	delete(a, "provenance.json")
	delete(b, "provenance.json")
	require.Equal(t, a, b)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		change func(*testing.T, *Release, *programtest.Program)
		want   string
	}{
		"another version": {func(_ *testing.T, _ *Release, p *programtest.Program) {
			p.Symbols = map[string]string{versionVariable: "0.0.0+dev"}
		}, `amd64 carries the version "0.0.0+dev"`},
		"another architecture": {func(_ *testing.T, _ *Release, p *programtest.Program) { p.Machine = elf.EM_AARCH64 }, "amd64 is for linux-arm64, and linux-amd64 was expected"},
		"another module":       {func(_ *testing.T, _ *Release, p *programtest.Program) { p.Modules = "path\tx\nmod\tx\t(devel)\t\n" }, "is of the module x, and this is example.com/main"},
		"another commit": {func(_ *testing.T, _ *Release, p *programtest.Program) {
			p.Modules = strings.ReplaceAll(fromGo, commit, "beef")
		}, "was built from the commit beef, and this is " + commit},
		"a changed tree": {func(_ *testing.T, _ *Release, p *programtest.Program) {
			p.Modules = fromGo + "build\tvcs.modified=true\n"
		}, "changes that are in no commit"},
		"no list of packages": {func(_ *testing.T, r *Release, _ *programtest.Program) { r.Executors[0].Packages = "" },
			"names no modules, as programs that Bazel built don't, and no list of its packages was given (--packages-linux-amd64)"},
		"an empty list of packages": {func(t *testing.T, r *Release, _ *programtest.Program) {
			require.NoError(t, os.WriteFile(r.Executors[0].Packages, []byte("\n"), 0o600))
		}, "lists no packages"},
		"an unknown package": {func(t *testing.T, r *Release, _ *programtest.Program) {
			require.NoError(t, os.WriteFile(r.Executors[0].Packages, []byte("example.org/x\n"), 0o600))
		}, "package example.org/x is of no module that go.mod requires"},
		"no info":   {func(_ *testing.T, r *Release, _ *programtest.Program) { r.Info += ".gone" }, "info.gone: no such file"},
		"no go.mod": {func(t *testing.T, r *Release, _ *programtest.Program) { r.ModuleDir = t.TempDir() }, "go.mod: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			amd64, arm64 := executors()
			r := release(t, amd64, arm64)
			check.change(t, &r, &amd64)
			require.NoError(t, os.WriteFile(r.Executors[0].Path, amd64.Bytes(), 0o600))
			dir := t.TempDir()
			err := r.Write(dir)
			require.ErrorContains(t, err, check.want)
			require.NotContains(t, err.Error(), dir, "it tells of the user's file")
		})
	}
}

func TestSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	amd64, arm64 := executors()
	r := release(t, arm64, amd64)
	err := r.Write(t.TempDir())
	require.ErrorContains(t, err, "amd64 is for linux-arm64")
	require.ErrorContains(t, err, "arm64 is for linux-amd64")
}
