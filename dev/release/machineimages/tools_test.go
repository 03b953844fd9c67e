package machineimages

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// dev/tools/packer.sh and gcloud.sh run the programs that are there, and say how to get them where they aren't.
func TestToolsOfTheMachine(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	const (
		real      = `if [ "$1" = version ]; then echo "Packer v1.11.2"; else echo "ran $*"; fi`
		cracklibs = `cat >/dev/null; echo "0 0"`
	)
	for name, check := range map[string]struct {
		tool     string
		programs []string // in the order of PATH
		code     int
		want     string
	}{
		"gcloud":            {"gcloud", []string{`echo "ran $*"`}, 0, "ran build x\n"},
		"no gcloud":         {"gcloud", nil, 127, "gcloud is not on PATH: install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install)\n"},
		"packer":            {"packer", []string{real}, 0, "ran build x\n"},
		"two packers":       {"packer", []string{cracklibs, real}, 0, "ran build x\n"},
		"cracklib's packer": {"packer", []string{cracklibs}, 127, "packer is not on PATH: install HashiCorp Packer (https://developer.hashicorp.com/packer/install; Debian 12: apt-get install packer)\n"},
		"no packer":         {"packer", nil, 127, "packer is not on PATH: install HashiCorp Packer (https://developer.hashicorp.com/packer/install; Debian 12: apt-get install packer)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := ""
			for _, program := range check.programs {
				bin := t.TempDir()
				write(t, filepath.Join(bin, check.tool), "#!"+bash+"\n"+program+"\n", 0o755)
				path += bin + ":"
			}
			tool := exec.Command(bash, ours(t, "dev/tools/"+check.tool+".sh"), "build", "x")
			empty := t.TempDir()
			cat, err := exec.LookPath("cat")
			require.NoError(t, err)
			require.NoError(t, os.Symlink(cat, filepath.Join(empty, "cat")))
			tool.Env = []string{"PATH=" + path + empty}
			out, err := tool.CombinedOutput()
			require.Equal(t, check.code == 0, err == nil)
			require.Equal(t, check.code, tool.ProcessState.ExitCode())
			require.Equal(t, check.want, string(out))
		})
	}
}

// The version of src that is told to Packer is that of the src that Bazel fetches.
func TestVersionOfSrc(t *testing.T) {
	t.Parallel()
	told := regexp.MustCompile(`SRC_CLI_VERSION = "([0-9.]+)"`).FindStringSubmatch(read(t, ours(t, "dev/tools/versions.bzl")))
	require.Len(t, told, 2)
	fetched := regexp.MustCompile(`src-cli/releases/download/([^/]+)/`).FindAllStringSubmatch(read(t, ours(t, "MODULE.bazel")), -1)
	require.Len(t, fetched, 2)
	for _, version := range fetched {
		require.Equal(t, told[1], version[1])
	}
}
