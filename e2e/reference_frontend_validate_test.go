//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// An operator asks whether an executor would work.
func TestReferenceFrontendValidates(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	git, err := exec.LookPath("git")
	require.NoError(t, err)
	allTools := tools(t, "docker", fakeDocker, "src", fakeSrc)
	for name, test := range map[string]struct {
		url, runtime string
		env          []string
		// refused and warned are parts of what stands on standard error; without the first all is well.
		refused, warned string
	}{
		"all is well":            {env: []string{allTools}},
		"src is behind":          {env: []string{tools(t, "docker", fakeDocker, "src", "echo Current version: 5.2.0")}, warned: "src 5.2.0 is behind the recommended 5.2.1"},
		"src does not fit":       {env: []string{tools(t, "docker", fakeDocker, "src", "echo Current version: 5.0.0")}, refused: "src 5.0.0 does not fit the frontend, which recommends 5.2.1"},
		"git is too old":         {env: []string{tools(t, "docker", fakeDocker, "src", fakeSrc, "git", "echo git version 2.20.1")}, refused: "git is too old: found 2.20.1"},
		"git fails":              {env: []string{tools(t, "docker", fakeDocker, "src", fakeSrc, "git", "echo broken >&2; exit 1")}, refused: "'git version': broken: exit status 1\n"},
		"docker and src missing": {env: []string{"PATH=" + onlyIn(t, git)}, refused: "docker not found in PATH, is it installed?\nInstall Docker Engine: https://docs.docker.com/engine/install/\nsrc not found in PATH, is it installed?\n"},
		"all tools missing":      {env: []string{"PATH=" + t.TempDir()}, refused: "git not found in PATH, is it installed?\n"},
		"the shell needs git":    {runtime: "shell", env: []string{"PATH=" + onlyIn(t, git)}},
		"the token is refused":   {env: []string{allTools, "EXECUTOR_FRONTEND_PASSWORD=wrong-wrong-wrong-wrong"}, refused: "authorization failed: authorization test: unexpected status code 401"},
		"the setting is named":   {env: []string{allTools, "EXECUTOR_FRONTEND_PASSWORD=wrong-wrong-wrong-wrong"}, refused: "executors.accessToken"},
		"nobody answers":         {runtime: "shell", url: "http://127.0.0.1:1", refused: "failed to validate authorization token: "},
		"the configuration":      {env: []string{"EXECUTOR_MAXIMUM_NUM_JOBS=many"}, refused: `invalid int "many" for EXECUTOR_MAXIMUM_NUM_JOBS`},
		"microVMs by default":    {env: []string{allTools, "EXECUTOR_USE_FIRECRACKER=true"}, refused: "EXECUTOR_USE_FIRECRACKER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, runtime := frontend.URL(), "auto"
			if test.url != "" {
				url = test.url
			}
			if test.runtime != "" {
				runtime = test.runtime
			}
			env := append(harness.ExecutorEnv(url, t.TempDir(), runtime), referenceEnv("EXECUTOR_USE_FIRECRACKER=false")...)
			got := harness.Run(t, append(env, test.env...), "executor", "validate")
			require.Contains(t, got.Stderr, test.warned)
			require.NotContains(t, got.Stderr, "wrong-wrong")
			if test.refused != "" {
				require.Equal(t, 1, got.Code)
				require.Empty(t, got.Stdout)
				require.Contains(t, got.Stderr, test.refused)
				return
			}
			require.Equal(t, harness.Result{Stdout: "All checks passed!\n", Stderr: got.Stderr}, got)
		})
	}
}

// The two requests of a validation, with the bodies of the reference's.
func TestReferenceFrontendIsAskedByValidate(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	env := append(harness.ExecutorEnv(frontend.URL(), t.TempDir(), "auto"), referenceEnv("EXECUTOR_USE_FIRECRACKER=false", tools(t, "docker", fakeDocker, "src", fakeSrc))...)
	require.Zero(t, harness.Run(t, env, "executor", "validate").Code)
	seen := transcript{strings.NewReplacer(frontendtest.Token, "<password>")}
	requireGolden(t, "testdata/reference_frontend_validate.txt", seen.requests(t, frontend.Requests(), func(frontendtest.Request) bool { return true }))
}

// onlyIn is a directory with nothing but a link to a program.
func onlyIn(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(program, dir+"/"+program[strings.LastIndex(program, "/")+1:]))
	return dir
}

func TestExecutorCommandLine(t *testing.T) {
	t.Parallel()
	unknown := harness.Run(t, nil, "executor", "dance")
	require.Equal(t, harness.Result{Code: 1, Stdout: "Unknown command \"dance\". Try \"executor help\".\n"}, unknown)

	version := harness.Run(t, nil, "executor", "--version")
	require.Zero(t, version.Code)
	require.Equal(t, version.Stdout, harness.Run(t, nil, "executor", "-v").Stdout)
	require.Regexp(t, `^executor version \S+\n$`, version.Stdout)

	help := harness.Run(t, nil, "executor", "run", "--help")
	require.Zero(t, help.Code)
	for _, variable := range executorconfig.Variables() {
		require.Contains(t, help.Stdout, "\n     "+variable.Name+" (")
	}

	nothing := harness.Run(t, nil, "executor")
	require.Equal(t, 1, nothing.Code)
	require.Empty(t, nothing.Stdout)
	require.Contains(t, nothing.Stderr, `invalid value "" for EXECUTOR_FRONTEND_URL: no value supplied`)
}
