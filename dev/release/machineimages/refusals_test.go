package machineimages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/machineimages/cloudtest"
)

// A variable that is missing or no such thing ends everything before anything, and is named.
func TestVariables(t *testing.T) {
	t.Parallel()
	both := map[string][]string{
		"IMAGE_FAMILY":                {"-", "", "Executors", "executors-", "a b", strings.Repeat("a", 60)},
		"BUILDKITE_BUILD_NUMBER":      {"-", "", "12a", "-1", strings.Repeat("1", 11)},
		"EXECUTOR_IS_TAGGED_RELEASE":  {"-", "", "yes", "TRUE"},
		"AWS_EXECUTOR_AMI_ACCESS_KEY": {"-", "with space", ""},
		"AWS_EXECUTOR_AMI_SECRET_KEY": {"-", "with space", ""},
		"EXECUTOR_IMAGE_BUILDERS":     {"docker", "googlecompute;amazon-ebs", ","},
		"EXECUTOR_AWS_REGION":         {"west", "us-west-1"},
		"EXECUTOR_GCP_PROJECT":        {"--flag", "A"},
	}
	only := map[string]map[string][]string{
		"build": {
			"VERSION": {"-", "", "-5", "a b"}, "SRC_CLI_VERSION": {"-", "6", "latest"}, "EXECUTOR_IMAGE_ARCH": {"x86"}, "EXECUTOR_IMAGE_TIMEOUT": {"0", "1h"},
		},
		"push": {
			"EXECUTOR_GCP_IMAGE_MEMBER": {"everybody", "user:a b"}, "EXECUTOR_IMAGE_KEEP": {"0", "none"}, "EXECUTOR_IMAGE_KEEP_DAYS": {"-1"}, "EXECUTOR_IMAGE_RELEASE_DAYS": {"1.5"},
			"EXECUTOR_CLOUD_TIMEOUT": {"soon"}, "EXECUTOR_CLOUD_PAUSE": {"a"}, "EXECUTOR_CLOUD_TRIES": {"0"}, "EXECUTOR_IMAGE_COPY_TIMEOUT": {"x"},
		},
	}
	for verb, more := range only {
		for _, variables := range []map[string][]string{both, more} {
			for variable, values := range variables {
				for _, value := range values {
					t.Run(verb+" "+variable+" "+value, func(t *testing.T) {
						t.Parallel()
						var s script
						if verb == "build" {
							s = newBuild(t, images[0], "main_everything")
						} else {
							s = newPush(t, images[0], "main_everything")
						}
						got := s.with(variable, value).run(t)
						require.Equal(t, 1, got.Code)
						require.Contains(t, got.Stderr, variable)
						require.Empty(t, s.calls(t))
						require.NotContains(t, got.Stderr, "with space", "it may be a secret")
					})
				}
			}
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	build, push := newBuild(t, images[0], "main_everything"), newPush(t, images[0], "main_everything")
	for want, s := range map[string]script{
		"unknown flag --force; see --help":                             build.giving("--force"),
		"unknown flag --registry-mirror-amd64; see --help":             build.giving("--registry-mirror-amd64=x"),
		"there is no file vm-image/gone.sh among the run files":        build.giving("vm-image/gone.sh"),
		"docker-mirror/verify.sh would hide another file":              build.giving("docker-mirror/verify.sh"),
		"the argument --regions is missing":                            push.taking(push.arguments[0]),
		"the argument gcloud is missing":                               push.taking(),
		"want the arguments gcloud, packer and the files of the image": build.taking("--dry-run"),
		"unknown flag --yes; see --help":                               push.giving("--yes"),
		"unexpected argument more; see --help":                         push.giving("more"),
		"is no list of Amazon's regions":                               push.taking(push.arguments[0], "--regions="+ours(t, "go.mod")),
	} {
		write(t, filepath.Join(s.dir, "docker-mirror/verify.sh"), "another", 0o600)
		got := s.run(t)
		require.Equal(t, 1, got.Code, want)
		require.Contains(t, got.Stderr, want)
		require.Empty(t, s.calls(t))
	}
	for _, s := range []script{build, push} {
		got := s.succeed(t, "--help")
		require.Contains(t, got.Stdout, "--dry-run")
		require.Contains(t, got.Stdout, "IMAGE_FAMILY")
		require.NotContains(t, got.Stdout, "set -euo")
		require.Empty(t, got.Stderr)
	}
}

func (s script) giving(words ...string) script {
	return s.taking(append(append([]string{}, s.arguments...), words...)...)
}
func (s script) taking(words ...string) script { s.arguments = words; return s }

// Tools that are missing are named before any cloud is called, with how to get them.
func TestMissingTools(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		make   func(*testing.T, image, string) script
		change func(*testing.T, script) script
		want   string
	}{
		"aws":    {pushing, without("aws"), "aws is not on PATH: install the AWS CLI (https://"},
		"jq":     {pushing, without("jq"), "jq is not on PATH: install it (Debian: apt-get install jq"},
		"jq too": {newBuild, without("jq"), "jq is not on PATH: install it (Debian: apt-get install jq"},
		"gcloud": {pushing, broken("gcloud", "gcloud is not on PATH: install the Google Cloud CLI"), "gcloud does not run here: gcloud is not on PATH: install"},
		"packer": {newBuild, broken("packer", "no packer"), "packer does not run here: no packer"},
		"a packer that is something else": {newBuild, func(t *testing.T, s script) script {
			require.NoError(t, os.Remove(filepath.Join(s.bin, "packer")))
			write(t, filepath.Join(s.bin, "packer"), "#!/bin/sh\necho 'usage: packer DICTIONARY'\n", 0o755) // cracklib has one
			return s
		}, "packer says no version, but: usage: packer DICTIONARY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := check.change(t, check.make(t, images[0], "main_everything"))
			got := s.run(t)
			require.Equal(t, 1, got.Code)
			require.Contains(t, got.Stderr, check.want)
			require.Empty(t, s.calls(t))
		})
	}
}

func pushing(t *testing.T, kind image, runType string) script { return newPush(t, kind, runType) }

// without is a machine that has nothing but the stand-ins and what the scripts call, less one program.
func without(name string) func(*testing.T, script) script {
	return func(t *testing.T, s script) script {
		for _, needed := range []string{"awk", "bash", "cat", "cut", "dirname", "env", "git", "head", "jq", "mktemp", "rm", "sed", "sha256sum", "tail", "timeout"} {
			path, err := exec.LookPath(needed)
			require.NoError(t, err)
			require.NoError(t, os.Symlink(path, filepath.Join(s.bin, needed)))
		}
		require.NoError(t, os.Remove(filepath.Join(s.bin, name)))
		return s.with("PATH", s.bin)
	}
}

func broken(name, says string) func(*testing.T, script) script {
	return func(t *testing.T, s script) script {
		require.NoError(t, os.Remove(filepath.Join(s.bin, name)))
		write(t, filepath.Join(s.bin, name), "#!/bin/sh\necho '"+says+"' >&2\nexit 127\n", 0o755)
		return s
	}
}

// What isn't as it should be at a cloud stops a push before anything is public.
func TestPushRefuses(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		change func(*cloudtest.Cloud, script)
		want   string
	}{
		"no image at Google":   {func(c *cloudtest.Cloud, s script) { delete(c.Google, s.name()) }, "looking for the image sourcegraph-executors-5-3-54321 in sourcegraph-ci: it ended with 254"},
		"one that isn't ready": {func(c *cloudtest.Cloud, s script) { c.Google[s.name()].Status = "PENDING" }, "is PENDING, not READY"},
		"no AMI":               {func(c *cloudtest.Cloud, s script) { delete(c.Amazon[home].Images, c.AMI(home, s.name()).ImageID) }, "no AMI sourcegraph-executors-5-3-54321 of this account is in us-west-2"},
		"two AMIs": {func(c *cloudtest.Cloud, s script) {
			c.AddAmazon("us-east-1", "other", "2026-01-01T00:00:00.000Z", nil).Name = s.name()
		}, "us-east-1 has more than one AMI sourcegraph-executors-5-3-54321 (ami-"},
		"a copy that failed": {func(c *cloudtest.Cloud, s script) { c.AMI("us-east-1", s.name()).State = "failed" }, "in us-east-1 is failed: deregister it (aws ec2 deregister-image --region us-east-1 --image-id ami-"},
		"an old AMI":         {func(c *cloudtest.Cloud, s script) { c.AMI(home, s.name()).CreationDate = "2023-01-02T02:04:05.000Z" }, "was made on 2023-01-02T02:04:05.000Z, more than 730 days ago: build it again"},
		"a copy that takes too long": {func(c *cloudtest.Cloud, s script) {
			image := c.AMI("us-east-1", s.name())
			image.State, image.Pending = "pending", 1_000_000
		}, "not everywhere is sourcegraph-executors-5-3-54321 available after 1 s (EXECUTOR_IMAGE_COPY_TIMEOUT)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPush(t, images[0], "tagged_release").with("EXECUTOR_IMAGE_COPY_TIMEOUT", "1", "EXECUTOR_CLOUD_PAUSE", "0.1", "EXECUTOR_CLOUD_TRIES", "1")
			cloud := s.cloud(t)
			check.change(cloud, s)
			require.NoError(t, cloud.Save(s.state))
			got := s.run(t)
			require.Equal(t, 1, got.Code)
			require.Contains(t, got.Stderr, check.want)
			require.Contains(t, got.Stderr, "what is where now")
			for _, call := range lines(s.calls(t)) {
				require.False(t, changes(call), call)
			}
			require.NoFileExists(t, s.place)
		})
	}
}

// What is noted is a commit, so what is published has to be of one.
func TestPushOfChangedTree(t *testing.T) {
	t.Parallel()
	clone := t.TempDir()
	from, err := workspace()
	require.NoError(t, err)
	out, err := exec.Command("git", "clone", "--quiet", from, clone).CombinedOutput()
	require.NoError(t, err, "%s", out)
	write(t, filepath.Join(clone, "new"), "", 0o600)
	s := newPush(t, images[0], "main_everything").with("BUILD_WORKSPACE_DIRECTORY", clone)
	got := s.run(t)
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "the tree has changes that are in no commit")
	require.Empty(t, s.calls(t))
}
