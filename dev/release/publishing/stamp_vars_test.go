package publishing

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/version"
)

// committed is when the commits of tests are made.
const committed = 1_767_323_045

// clone is a git clone with one commit.
type clone string

func newClone(t *testing.T) clone {
	t.Helper()
	c := clone(t.TempDir())
	c.git(t, "init", "--quiet", "--initial-branch=main")
	c.commit(t)
	return c
}

func (c clone) git(t *testing.T, words ...string) string {
	t.Helper()
	git := exec.Command("git", words...)
	date := "@" + strconv.Itoa(committed) + " +0000"
	git.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE="+date,
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE="+date)
	git.Dir = string(c)
	out, err := git.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func (c clone) commit(t *testing.T) {
	t.Helper()
	c.git(t, "commit", "--quiet", "--allow-empty", "--message=x")
}

// stamps runs the script in a directory and returns its values and its warnings.
func stamps(t *testing.T, dir string, environment ...string) (values map[string]string, warnings string) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	script := exec.Command(bash, ours(t, "dev/stamp_vars.sh"))
	script.Dir = dir
	script.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_CEILING_DIRECTORIES=" + filepath.Dir(dir)}, environment...)
	var stdout, stderr bytes.Buffer
	script.Stdout, script.Stderr = &stdout, &stderr
	require.NoError(t, script.Run(), "%s", &stderr)
	values = make(map[string]string)
	for line := range strings.Lines(stdout.String()) {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		require.True(t, found)
		values[name] = value
	}
	return values, stderr.String()
}

func TestStampsTheVersion(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		tags        []string
		environment []string
		want        string
		warning     string
	}{
		"nothing known":               {nil, nil, "0.0.0+dev", ""},
		"a tag being built":           {nil, []string{"BUILDKITE_TAG=v5.2.0"}, "5.2.0", ""},
		"a pre-release":               {nil, []string{"BUILDKITE_TAG=v5.2.0-rc.1"}, "5.2.0-rc.1", ""},
		"a tag goes first":            {[]string{"v5.1.0"}, []string{"BUILDKITE_TAG=v5.2.0", "VERSION=5.3.0"}, "5.2.0", ""},
		"a tag that is no version":    {nil, []string{"BUILDKITE_TAG=nightly", "VERSION=5.3.0"}, "5.3.0", `BUILDKITE_TAG is "nightly", which is no version: not used`},
		"what CI says":                {nil, []string{"VERSION=12345_2026-01-02_0123456789ab"}, "12345_2026-01-02_0123456789ab", ""},
		"what CI says of a branch":    {[]string{"v5.1.0"}, []string{"VERSION=5.2_12345_2026-01-02_0123456789ab"}, "5.2_12345_2026-01-02_0123456789ab", ""},
		"something else's VERSION":    {nil, []string{"VERSION=bookworm"}, "0.0.0+dev", `VERSION is "bookworm", which is no version: not used`},
		"no day of the year":          {nil, []string{"VERSION=1_2026-13-01_0123456789ab"}, "0.0.0+dev", "is no version"},
		"two words":                   {nil, []string{"VERSION=5.2.0 x"}, "0.0.0+dev", "is no version"},
		"the commit of a release":     {[]string{"v5.1.0"}, nil, "5.1.0", ""},
		"a tag of something else":     {[]string{"vm-image-7"}, nil, "0.0.0+dev", ""},
		"a tag that looks like one":   {[]string{"v5"}, nil, "0.0.0+dev", ""},
		"empty variables say nothing": {nil, []string{"BUILDKITE_TAG=", "VERSION="}, "0.0.0+dev", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClone(t)
			for _, tag := range check.tags {
				c.git(t, "tag", tag)
			}
			values, warnings := stamps(t, string(c), check.environment...)
			require.Equal(t, check.want, values["STABLE_VERSION"])
			require.Contains(t, warnings, check.warning)
			require.Equal(t, check.warning == "", warnings == "")
			_, err := version.JobPayloadVersion(values["STABLE_VERSION"])
			require.NoError(t, err, "executors and frontends can read it")
		})
	}
}

func TestStampsCommitsAfterARelease(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	c.git(t, "tag", "--annotate", "--message=x", "v5.1.0")
	c.commit(t)
	values, _ := stamps(t, string(c))
	require.Equal(t, "5.1.0-1-g"+c.git(t, "rev-parse", "--short=12", "HEAD"), values["STABLE_VERSION"])
	_, err := version.JobPayloadVersion(values["STABLE_VERSION"])
	require.NoError(t, err)
}

func TestStampsTheTimeOfTheCommit(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	values, _ := stamps(t, string(c))
	require.Equal(t, map[string]string{
		"STABLE_VERSION": "0.0.0+dev", "STABLE_COMMIT": c.git(t, "rev-parse", "HEAD"), "VERSION_TIMESTAMP": strconv.Itoa(committed),
	}, values)

	require.NoError(t, os.WriteFile(filepath.Join(string(c), "new"), nil, 0o600))
	before := time.Now().Unix()
	values, _ = stamps(t, string(c))
	seconds, err := strconv.ParseInt(values["VERSION_TIMESTAMP"], 10, 64)
	require.NoError(t, err)
	require.GreaterOrEqual(t, seconds, before, "what isn't in a commit is of now")
	require.NotContains(t, values, "STABLE_COMMIT")
}

func TestStampsWithoutGit(t *testing.T) {
	t.Parallel()
	before := time.Now().Unix()
	for name, run := range map[string]func() (map[string]string, string){
		"no clone": func() (map[string]string, string) { return stamps(t, t.TempDir()) },
		"no git":   func() (map[string]string, string) { return stamps(t, string(newClone(t)), "PATH=/nonexistent") },
	} {
		values, warnings := run()
		require.Empty(t, warnings, name)
		require.Equal(t, "0.0.0+dev", values["STABLE_VERSION"], name)
		require.NotContains(t, values, "STABLE_COMMIT", name)
		seconds, err := strconv.ParseInt(values["VERSION_TIMESTAMP"], 10, 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, seconds, before, name)
	}
}
