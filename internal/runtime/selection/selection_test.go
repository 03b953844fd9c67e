package selection_test

import (
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/selection"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	all := []string{"docker", "git", "src"}
	for name, test := range map[string]struct {
		in      selection.Input
		present []string
		want    runtime.Kind
		// says are parts of the error.
		says []string
	}{
		"auto with all programs":              {in: selection.Input{Wanted: "auto"}, present: all, want: runtime.Docker},
		"nothing wanted is auto":              {present: all, want: runtime.Docker},
		"auto without src":                    {present: []string{"docker", "git"}, says: []string{"runtime is not configured", ": src;", "EXECUTOR_RUNTIME"}},
		"auto without anything":               {says: []string{"runtime is not configured", "docker, git, src"}},
		"auto with firecracker":               {in: selection.Input{UseFirecracker: true}, present: all, says: []string{"EXECUTOR_USE_FIRECRACKER=false", "mke2fs, sqfstar"}},
		"auto with firecracker in Kubernetes": {in: selection.Input{UseFirecracker: true, InKubernetes: true}, present: all, says: []string{"EXECUTOR_USE_FIRECRACKER=false"}},
		"auto in Kubernetes":                  {in: selection.Input{InKubernetes: true}, present: all, want: runtime.Kubernetes},
		"docker without src":                  {in: selection.Input{Wanted: "docker"}, present: []string{"docker", "git"}, want: runtime.Docker},
		"docker outranks firecracker":         {in: selection.Input{Wanted: "docker", UseFirecracker: true, InKubernetes: true}, present: all, want: runtime.Docker},
		"docker without docker":               {in: selection.Input{Wanted: "docker"}, present: []string{"git", "src"}, says: []string{"EXECUTOR_RUNTIME is docker", ": docker;"}},
		"shell":                               {in: selection.Input{Wanted: "shell", UseFirecracker: true}, present: []string{"git"}, want: runtime.Shell},
		"shell without git":                   {in: selection.Input{Wanted: "shell"}, says: []string{"EXECUTOR_RUNTIME is shell", ": git;"}},
		"firecracker":                         {in: selection.Input{Wanted: "firecracker"}, present: []string{"git", "mke2fs", "sqfstar"}, want: runtime.Firecracker},
		"firecracker by default":              {in: selection.Input{UseFirecracker: true}, present: []string{"git", "mke2fs", "sqfstar"}, want: runtime.Firecracker},
		"firecracker without its programs":    {in: selection.Input{Wanted: "firecracker"}, present: all, says: []string{"EXECUTOR_RUNTIME is firecracker", ": mke2fs, sqfstar;"}},
		"kubernetes":                          {in: selection.Input{Wanted: "kubernetes"}, present: []string{"git"}, want: runtime.Kubernetes},
		"unknown":                             {in: selection.Input{Wanted: "Docker "}, present: all, says: []string{`"Docker "`, "auto, docker"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.in.LookPath = func(program string) (string, error) {
				if slices.Contains(test.present, program) {
					return "/bin/" + program, nil
				}
				return "", exec.ErrNotFound
			}
			kind, err := selection.Choose(test.in)
			if test.says == nil {
				require.NoError(t, err)
				require.Equal(t, test.want, kind)
				return
			}
			require.Empty(t, kind)
			require.Equal(t, fault.Operator, fault.ClassOf(err))
			for _, part := range test.says {
				require.ErrorContains(t, err, part)
			}
		})
	}
}
