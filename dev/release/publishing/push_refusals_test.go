package publishing

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPushRefuses(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		change func(*testing.T, push) push
		want   string
	}{
		"a changed file": {func(t *testing.T, p push) push {
			p.repository.write(t, "go.mod", "module x\n")
			return p
		}, "the tree has changes that are in no commit, so the binaries are not those of "},
		"an unknown file": {func(t *testing.T, p push) push {
			p.repository.write(t, "new.go", "package x\n")
			return p
		}, ": ?? new.go"},
		"no clone": {func(t *testing.T, p push) push {
			return p.with("BUILD_WORKSPACE_DIRECTORY", t.TempDir())
		}, "is no git clone with a commit"},
		"a binary of another version": {func(t *testing.T, p push) push {
			return p.with("VERSION", "5.2.0")
		}, `carries the version "0.0.0+dev", and this commit's is "5.2.0"; build it with --config=release`},
		"swapped binaries": {func(t *testing.T, p push) push {
			p.arguments[0], p.arguments[1] = p.arguments[1], p.arguments[0]
			return p
		}, "is for linux-arm64, and linux-amd64 was expected: are the two executors swapped?"},
		"no binary at all": {func(t *testing.T, p push) push {
			p.arguments[1] = script(t, filepath.Join(t.TempDir(), "x"), "true\n")
			return p
		}, "is no Linux program"},
		"a release without a version": {func(t *testing.T, p push) push {
			return p.with("EXECUTOR_IS_TAGGED_RELEASE", "true", "BUILDKITE_TAG", "nightly")
		}, `BUILDKITE_TAG is "nightly", which is no release: want one such as v5.2.0`},
		"a tag that leaves the place": {func(t *testing.T, p push) push {
			return p.with("EXECUTOR_IS_TAGGED_RELEASE", "true", "BUILDKITE_TAG", "v5.2/../latest")
		}, "which is no release"},
		"a tag of another commit": {func(t *testing.T, p push) push {
			p.repository.git(t, "tag", "v5.2.0")
			p.repository.commit(t)
			return p.released(t, "v5.2.0", "")
		}, "the tag v5.2.0 is of the commit "},
		"an unclear wish": {func(t *testing.T, p push) push {
			return p.with("EXECUTOR_IS_TAGGED_RELEASE", "yes")
		}, `EXECUTOR_IS_TAGGED_RELEASE is "yes": want true, or false or nothing`},
		"no gsutil": {func(t *testing.T, p push) push {
			p.arguments[3] = script(t, filepath.Join(t.TempDir(), "gsutil"), "echo 'no python' >&2; exit 127\n")
			return p.with("EXECUTOR_ARTIFACTS_URL", "-")
		}, "gs://sourcegraph-artifacts/executors can't be reached without gsutil, which does not run here: no python"},
		"no aws": {func(t *testing.T, p push) push {
			bin := t.TempDir()
			script(t, filepath.Join(bin, "aws"), "exit 127\n")
			return p.with("EXECUTOR_ARTIFACTS_URL", "s3://bucket/x", "PATH", bin+":"+os.Getenv("PATH"))
		}, "s3://bucket/x can't be reached without aws, which does not run here: not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := check.change(t, newPush(t))
			got := p.run(t)
			require.Equal(t, 1, got.Code, got.Stdout)
			require.Contains(t, got.Stderr, check.want)
			require.NoDirExists(t, p.place)
		})
	}
}

func TestPushRefusesArguments(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	missing := filepath.Join(t.TempDir(), "gone")
	for name, check := range map[string]struct {
		arguments []string
		want      string
	}{
		"none":           {nil, "the argument executor for linux-amd64 is missing; run this by Bazel, or see --help"},
		"one":            {p.arguments[:1], "the argument executor for linux-arm64 is missing; run this by Bazel, or see --help"},
		"no release":     {p.arguments[:2], "the argument release program is missing; run this by Bazel, or see --help"},
		"no gsutil":      {p.arguments[:3], "the argument gsutil is missing; run this by Bazel, or see --help"},
		"a missing file": {[]string{p.arguments[0], missing, p.arguments[2], p.arguments[3]}, "there is no file " + missing + ", given as executor for linux-arm64"},
		"too many":       {append(p.arguments[:4:4], "more"), "unexpected argument more; see --help"},
		"a flag":         {append(p.arguments[:4:4], "--force"), "unknown flag --force; see --help"},
		"a missing list": {append(p.arguments[:4:4], "--packages-linux-amd64="+missing), "there is no file " + missing + ", given as --packages-linux-amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := p
			other.arguments = check.arguments
			got := other.run(t)
			require.Equal(t, 1, got.Code)
			require.Equal(t, "binary.push: "+check.want+"\n", got.Stderr)
			require.Empty(t, got.Stdout)
		})
	}
}

func TestPushRefusesPlaces(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	for _, url := range []string{"gs://", "gs://Bucket", "gs://bucket/*", "s3://bucket/../x y", "file://relative", "file:///", "/srv", "https://example.com/x"} {
		got := p.with("EXECUTOR_ARTIFACTS_URL", url).run(t)
		require.Equal(t, 1, got.Code, url)
		require.Contains(t, got.Stderr, `"`+url+`" is no place for artifacts: want gs://BUCKET/…, s3://BUCKET/… or file:///DIRECTORY`)
	}
}

// Somebody's directory is not removed to make room for a link.
func TestPushRefusesToReplaceADirectory(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	require.NoError(t, os.MkdirAll(filepath.Join(p.place, "latest", "x"), 0o755))
	got := p.run(t)
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "latest is a directory, and only a symbolic link can be switched: move it away once")
	require.Equal(t, []string{"x"}, names(t, filepath.Join(p.place, "latest")))
}

func TestPushHelp(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	p.arguments = nil
	got := p.run(t, "--help")
	require.Zero(t, got.Code)
	for _, word := range []string{"--dry-run", "EXECUTOR_ARTIFACTS_URL", "EXECUTOR_IS_TAGGED_RELEASE", "CLOUDSDK_CORE_PROJECT"} {
		require.Contains(t, got.Stdout, word)
	}
}

func TestPushTakesListsOfPackages(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	list := filepath.Join(t.TempDir(), "packages")
	require.NoError(t, os.WriteFile(list, []byte("fmt\n"), 0o600))
	p.succeed(t, "--packages-linux-amd64="+list, "--packages-linux-arm64="+list)
}
