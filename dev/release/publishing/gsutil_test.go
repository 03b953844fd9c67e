package publishing

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// dev/tools/gsutil.sh runs the gsutil that is there.
func TestGsutilOfTheMachine(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	write := func(path, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("#!"+bash+"\n"+text), 0o755))
	}
	for name, check := range map[string]struct {
		gsutil, gcloud, inSDK bool
		code                  int
		want                  string
	}{
		"on PATH":           {gsutil: true, gcloud: true, inSDK: true, want: "gsutil on PATH: cp a b\n"},
		"with gcloud":       {gcloud: true, inSDK: true, want: "gsutil of the SDK: cp a b\n"},
		"gcloud without":    {gcloud: true, code: 127, want: "neither gsutil nor a gcloud that has it is on PATH: install the Google Cloud CLI\n"},
		"nothing to be had": {code: 127, want: "neither gsutil nor a gcloud that has it is on PATH: install the Google Cloud CLI\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bin, sdk := t.TempDir(), t.TempDir()
			if check.gsutil {
				write(filepath.Join(bin, "gsutil"), `echo "gsutil on PATH: $*"`)
			}
			if check.gcloud {
				write(filepath.Join(bin, "gcloud"), "echo "+sdk)
			}
			if check.inSDK {
				write(filepath.Join(sdk, "bin", "gsutil"), `echo "gsutil of the SDK: $*"`)
			}
			command := exec.Command(bash, ours(t, "dev/tools/gsutil.sh"), "cp", "a", "b")
			command.Env = []string{"PATH=" + bin}
			out, err := command.CombinedOutput()
			require.Equal(t, check.code == 0, err == nil)
			require.Equal(t, check.code, command.ProcessState.ExitCode())
			require.Equal(t, check.want, string(out))
		})
	}
}
