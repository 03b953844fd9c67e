package machineimages

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/machineimages/cloudtest"
)

// sources are files as those of the folders of images, by their paths among run files.
func sources(folder string) []string {
	return []string{
		folder + "/machine.pkr.hcl", folder + "/plugins.pkr.hcl", folder + "/verify.pkr.hcl", folder + "/verify.sh", folder + "/install.sh", folder + "/first-boot/unit.service",
		"vm-image/steps/shared.sh",
	}
}

// newBuild builds an image of small files.
func newBuild(t *testing.T, kind image, runType string) script {
	t.Helper()
	s := newScript(t, kind, "build", runType).with("SRC_CLI_VERSION", "6.1.0")
	s.arguments = []string{filepath.Join(s.bin, "gcloud"), filepath.Join(s.bin, "packer")}
	for _, file := range sources(kind.folder) {
		mode := os.FileMode(0o600)
		if strings.HasSuffix(file, ".sh") {
			mode = 0o700
		}
		content := "the file " + filepath.Base(file)
		if strings.HasSuffix(file, "machine.pkr.hcl") || strings.HasSuffix(file, "verify.pkr.hcl") {
			content = "source \"googlecompute\" \"image\" {\nsource \"amazon-ebs\" \"image\" {\nsource \"qemu\" \"image\" {\n"
		}
		write(t, filepath.Join(s.dir, file), content, mode)
		s.arguments = append(s.arguments, file)
	}
	files := map[string]string{"src-amd64": "out/src_amd64", "src-arm64": "out/src_arm64", "executor-amd64": "out/executor_amd64.deb", "executor-arm64": "out/executor_arm64.deb", "executor-vm": "out/tarball.tar"}
	if kind.folder == "docker-mirror" {
		files = map[string]string{"registry-mirror-amd64": "out/mirror_amd64", "registry-mirror-arm64": "out/mirror_arm64"}
	}
	for flag, file := range files {
		// As Bazel does it: run files are links.
		write(t, filepath.Join(s.dir, "real", file), "the file "+filepath.Base(file), 0o555)
		require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "out"), 0o755))
		require.NoError(t, os.Symlink(filepath.Join(s.dir, "real", file), filepath.Join(s.dir, file)))
		s.arguments = append(s.arguments, "--"+flag+"="+file)
	}
	s.arguments = append(s.arguments, "--regions="+ours(t, few))
	return s
}

var folder = regexp.MustCompile(`TMP/tmp\.[A-Za-z0-9]+`)

// normal is a text without what differs from run to run, and without the secrets, which may be in Packer's variables alone.
func (s script) normal(text string) string {
	text = folder.ReplaceAllString(strings.NewReplacer(s.bin, "BIN", s.scratch, "TMP", s.dir, "DIR").Replace(text), "STAGING")
	return strings.NewReplacer(accessKey, "THE-ACCESS-KEY", secretKey, "THE-SECRET-KEY").Replace(text)
}

// The calls of gcloud and Packer, and what Packer finds in the folder and in its environment.
func TestBuildCalls(t *testing.T) {
	t.Parallel()
	for _, kind := range images {
		for _, runType := range runTypes {
			name := "build_" + kind.folder + "_" + runType
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newBuild(t, kind, runType)
				got := s.succeed(t)
				golden(t, name, s.normal(s.calls(t)+"\nbuild\n"+read(t, filepath.Join(s.state, "packer-build"))+"\nverify\n"+read(t, filepath.Join(s.state, "packer-verify"))))
				require.Equal(t, "ami.build: "+s.name()+" is built and was tried out: googlecompute amazon-ebs\n", got.Stdout)
			})
		}
	}
}

// Debian's Packer has its plug-ins built in, and refuses the file that names them.
func TestBuildWithAnOldPacker(t *testing.T) {
	t.Parallel()
	s := newBuild(t, images[0], "main_everything").with(cloudtest.PackerVariable, "1.6.6")
	s.succeed(t)
	require.NotContains(t, s.calls(t), "packer init")
	for _, room := range []string{"build", "verify"} {
		require.NotContains(t, read(t, filepath.Join(s.state, "packer-"+room)), "plugins.pkr.hcl")
	}
}

// For a local image there is neither a cloud nor a key of one.
func TestBuildOfALocalImage(t *testing.T) {
	t.Parallel()
	s := newBuild(t, images[0], "main_everything").with("EXECUTOR_IMAGE_BUILDERS", "qemu", "EXECUTOR_IMAGE_ARCH", "arm64", "PKR_VAR_qemu_disk", "/disks/debian.qcow2",
		"AWS_EXECUTOR_AMI_ACCESS_KEY", "-", "AWS_EXECUTOR_AMI_SECRET_KEY", "-")
	require.NoError(t, os.Remove(filepath.Join(s.bin, "gcloud")))
	write(t, filepath.Join(s.bin, "gcloud"), "#!/bin/sh\nexit 9\n", 0o755)
	s.succeed(t)
	golden(t, "build_local", s.normal(s.calls(t)+"\nbuild\n"+read(t, filepath.Join(s.state, "packer-build"))))
}

// What steps would download otherwise can be given, but nothing of ours is replaced by it.
func TestBuildWithMoreFiles(t *testing.T) {
	t.Parallel()
	more := t.TempDir()
	write(t, filepath.Join(more, "firecracker"), "the file firecracker", 0o755)
	s := newBuild(t, images[0], "main_everything").with("EXECUTOR_IMAGE_FILES", more)
	require.Contains(t, s.succeed(t, "--dry-run").Stdout, "# in it: files/firecracker, from "+more+"\n")
	s.succeed(t)
	require.Contains(t, read(t, filepath.Join(s.state, "packer-build")), "\n-rwxr-xr-x files/firecracker \"the file firecracker\"\n")
	write(t, filepath.Join(more, "executor.deb"), "another", 0o600)
	got := s.run(t)
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "executor.deb (EXECUTOR_IMAGE_FILES) would hide another file")
	require.Contains(t, s.with("EXECUTOR_IMAGE_FILES", "more").run(t).Stderr, `EXECUTOR_IMAGE_FILES is "more": want the absolute path`)
}

func TestBuildWithTheMachinesOwnCredentials(t *testing.T) {
	t.Parallel()
	s := newBuild(t, images[1], "tagged_release").with("AWS_EXECUTOR_AMI_ACCESS_KEY", "", "AWS_EXECUTOR_AMI_SECRET_KEY", "", "EXECUTOR_GCP_KEY_SECRET", "")
	s.succeed(t)
	require.NotContains(t, s.calls(t), "gcloud")
	require.Contains(t, read(t, filepath.Join(s.state, "packer-build")), "\nPKR_VAR_gcp_account_file=\n")
}

func TestBuildDryRunCallsNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range images {
		s := newBuild(t, kind, "tagged_release")
		got := s.succeed(t, "--dry-run")
		require.Empty(t, s.calls(t))
		golden(t, "build_dry_"+kind.folder, s.normal(got.Stdout))
	}
}

// Whatever goes wrong, it ends there, says so, and leaves nothing of its own: the key least of all.
func TestBuildFaults(t *testing.T) {
	t.Parallel()
	whole := newBuild(t, images[0], "tagged_release")
	whole.succeed(t)
	calls := lines(whole.calls(t))
	require.Len(t, calls, 7)
	for number, call := range calls {
		for _, mode := range []string{cloudtest.Fail, cloudtest.Empty, cloudtest.Malformed} {
			if mode != cloudtest.Fail && strings.HasPrefix(call, "packer") {
				continue
			}
			s := newBuild(t, images[0], "tagged_release")
			got := s.with(cloudtest.FaultVariable, strings.Join([]string{string(rune('1' + number)), mode, cloudtest.Once}, " ")).run(t)
			require.Equal(t, 1, got.Code, call)
			require.Len(t, lines(s.calls(t)), number+1, "nothing comes after it")
			require.NotContains(t, got.Stdout, "is built")
			if strings.HasPrefix(call, "packer") {
				require.Contains(t, got.Stderr, "ami.build: "+strings.Join(strings.Fields(call)[:2], " ")+" failed (1): what it printed says why; nothing was published")
			} else {
				require.Contains(t, got.Stderr, "ami.build: the secret e2e-builder-sa-key of sourcegraph-ci ")
			}
			s.forgetCalls(t)
			s.succeed(t)
		}
	}
}

func TestBuildPackerThatNeverEnds(t *testing.T) {
	t.Parallel()
	s := newBuild(t, images[0], "tagged_release").with(cloudtest.FaultVariable, "6 hang once", "EXECUTOR_IMAGE_TIMEOUT", "1")
	got := s.run(t)
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "packer build did not end within 1 s (EXECUTOR_IMAGE_TIMEOUT)")
}

// A run that is told to stop stops Packer, so that it removes its machines, and leaves nothing.
func TestBuildInterrupted(t *testing.T) {
	t.Parallel()
	s := newBuild(t, images[0], "tagged_release").with(cloudtest.FaultVariable, "6 interrupt once")
	require.Equal(t, 130, s.run(t).Code)
	require.Len(t, lines(s.calls(t)), 6)
}

// Packer itself makes nothing, and is content, when a template lacks the builder.
func TestBuildWithoutSource(t *testing.T) {
	t.Parallel()
	s := newBuild(t, images[0], "main_everything").with("EXECUTOR_IMAGE_BUILDERS", "qemu")
	write(t, filepath.Join(s.dir, "vm-image/verify.pkr.hcl"), "source \"amazon-ebs\" \"image\" {\n", 0o600)
	got := s.run(t)
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, `no template of this image has a source "qemu" to verify it with (EXECUTOR_IMAGE_BUILDERS)`)
	require.Empty(t, s.calls(t))
}
