package publishing

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/scripttest"
)

// checked is a directory whose checksum files sha256sum accepts, from within.
func checked(t *testing.T, dir string) {
	t.Helper()
	for _, platform := range []string{"linux-amd64", "linux-arm64"} {
		check := exec.Command("sha256sum", "--strict", "--check", "executor_SHA256SUM")
		check.Dir = filepath.Join(dir, platform)
		out, err := check.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, "executor: OK\n", string(out))
	}
	check := exec.Command("sha256sum", "--strict", "--check", "--quiet", "SHA256SUMS")
	check.Dir = dir
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func read(t *testing.T, words ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(words...))
	require.NoError(t, err)
	return string(content)
}

func TestPushPublishesMain(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	commit := p.succeed(t)
	require.Equal(t, []string{commit, "latest"}, names(t, p.place))
	latest := filepath.Join(p.place, "latest")
	checked(t, latest)
	require.Equal(t, commit+"\n", read(t, latest, "COMMIT"))
	require.Equal(t, read(t, p.arguments[1]), read(t, latest, "linux-arm64", "executor"))

	info := read(t, latest, "info.txt")
	require.Contains(t, info, "commit "+commit+"\n")
	require.Contains(t, info, "Author <author@example.com>", "as in the commit, not as in .mailmap")
	require.Contains(t, read(t, latest, "provenance.json"), `"branch": "main"`)
	require.Contains(t, read(t, latest, "linux-amd64", "executor.spdx.json"), `"SPDX-2.3"`)
	for _, name := range names(t, filepath.Join(latest, "linux-amd64")) {
		entry, err := os.Stat(filepath.Join(latest, "linux-amd64", name))
		require.NoError(t, err)
		require.EqualValues(t, 0o044, entry.Mode()&0o066, "%s: everybody reads, and only the owner writes", name)
	}
}

func TestPushAgainChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	commit := p.succeed(t)
	first := read(t, p.place, "latest", "provenance.json")
	again := p.with("BUILDKITE", "true", "BUILDKITE_BUILD_URL", "https://buildkite.com/another/run")
	got := again.run(t)
	require.Zero(t, got.Code, got.Stderr)
	require.Contains(t, got.Stdout, commit+" was published before: kept")
	require.Equal(t, first, read(t, p.place, "latest", "provenance.json"))
	require.Equal(t, []string{commit, "latest"}, names(t, p.place))
}

// A commit's directory never changes. Other bytes of the same commit are said, and not published.
func TestPushKeepsWhatWasPublished(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	commit := p.succeed(t)
	got := p.building(t, "0.0.0+dev", "other bytes").run(t)
	require.Zero(t, got.Code)
	require.Contains(t, got.Stderr, "warning: "+commit+" was published before with other bytes than it has now: what was published stays")
	require.Equal(t, read(t, p.arguments[0]), read(t, p.place, "latest", "linux-amd64", "executor"))
}

func TestPushOfAnythingElseLeavesLatest(t *testing.T) {
	t.Parallel()
	for name, variables := range map[string][]string{
		"another branch":           {"BUILDKITE_BRANCH", "feature"},
		"no branch":                {"BUILDKITE_BRANCH", "-"},
		"somebody's branch main":   {"BUILDKITE_PULL_REQUEST", "7"},
		"a tag that isn't a build": {"BUILDKITE_BRANCH", "-", "BUILDKITE_TAG", "v5.2.0", "EXECUTOR_IS_TAGGED_RELEASE", "false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPush(t).with(variables...)
			if p.environment["BUILDKITE_TAG"] != "" {
				p = p.building(t, "5.2.0", "")
			}
			require.Equal(t, []string{p.succeed(t)}, names(t, p.place))
		})
	}
}

// released is a push of the tag.
func (p push) released(t *testing.T, tag, words string) push {
	t.Helper()
	return p.building(t, strings.TrimPrefix(tag, "v"), words).
		with("BUILDKITE_BRANCH", tag, "BUILDKITE_TAG", tag, "EXECUTOR_IS_TAGGED_RELEASE", "true")
}

func TestPushPublishesATag(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	p.succeed(t)
	p.repository.commit(t)
	commit := p.released(t, "v5.2.0", "release").succeed(t)
	require.NotContains(t, read(t, p.place, "latest", "COMMIT"), commit, "a release doesn't move latest/")
	tag := filepath.Join(p.place, "v5.2.0")
	checked(t, tag)
	require.Equal(t, commit+"\n", read(t, tag, "COMMIT"))
	require.Contains(t, read(t, tag, "provenance.json"), `"tag": "v5.2.0"`)
	p.released(t, "v5.2.0", "release").succeed(t)
}

func TestPushWithoutATagPublishesTheCommitAlone(t *testing.T) {
	t.Parallel()
	p := newPush(t).with("EXECUTOR_IS_TAGGED_RELEASE", "true", "BUILDKITE_BRANCH", "-")
	got := p.run(t)
	require.Zero(t, got.Code, got.Stderr)
	require.Contains(t, got.Stdout, "a release without BUILDKITE_TAG: only the directory of the commit is published")
	require.Len(t, names(t, p.place), 1)
}

// A tag never changes, whatever is pushed under its name.
func TestPushRefusesToChangeATag(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	first := p.released(t, "v5.2.0", "release").succeed(t)

	got := p.released(t, "v5.2.0", "other bytes").run(t)
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, first+" was published before with other bytes than the release v5.2.0 has now")

	second := p.repository.commit(t)
	got = p.released(t, "v5.2.0", "release").run(t)
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "v5.2.0 was published already, from "+first+", and stays as it is; this is "+second)
	require.Equal(t, first+"\n", read(t, p.place, "v5.2.0", "COMMIT"))
}

// The build of an older commit may end after that of a newer one.
func TestPushNeverMovesLatestBack(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	older := p.repository.git(t, "rev-parse", "HEAD")
	p.repository.commit(t)
	newer := p.succeed(t)
	p.repository.git(t, "checkout", "--quiet", older)
	got := p.run(t)
	require.Zero(t, got.Code, got.Stderr)
	require.Contains(t, got.Stdout, "latest/ shows "+newer+", which is newer: it stays")
	require.Equal(t, newer+"\n", read(t, p.place, "latest", "COMMIT"))
	checked(t, filepath.Join(p.place, older))
}

// By Bazel the arguments are paths below the folder of run files, which is where the program starts.
func TestPushFindsRunFiles(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	runFiles := t.TempDir()
	for i, name := range []string{"amd64", "arm64", "release", "gsutil"} {
		require.NoError(t, os.Symlink(p.arguments[i], filepath.Join(runFiles, name)))
	}
	for name, from := range map[string]string{
		"dev/lib/artifacts.sh": "dev/lib/artifacts.sh", "dev/stamp_vars.sh": "dev/stamp_vars.sh", "bin/binary.push": "cmd/executor/_binary.push.sh",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(runFiles, name)), 0o755))
		require.NoError(t, os.Symlink(ours(t, from), filepath.Join(runFiles, name)))
	}
	command := exec.Command(filepath.Join(runFiles, "bin", "binary.push"), "amd64", "arm64", "release", "gsutil")
	command.Dir = runFiles
	got := scripttest.Run(t, command, p.environment)
	require.Zero(t, got.Code, got.Stderr)
	checked(t, filepath.Join(p.place, "latest"))
}
