package terraform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// missing tells whether there is no terraform here, and says in the log what hasn't run for that.
func missing(t *testing.T) bool {
	t.Helper()
	_, err := exec.LookPath("terraform")
	if err != nil {
		t.Log("NOT RUN: there is no terraform on PATH. The files themselves are checked by TestModules all the same.")
	}
	return err != nil
}

// terraform runs the program in a folder, and returns what it prints, in a failure its complaints, too.
func terraform(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "terraform", append([]string{"-chdir=" + dir}, args...)...)
	command.Env = append(os.Environ(), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	var out, problems strings.Builder
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return out.String() + problems.String(), err
	}
	return out.String(), nil
}

func TestFormat(t *testing.T) {
	t.Parallel()
	if missing(t) {
		return
	}
	out, err := terraform(t, ".", "fmt", "-check", "-recursive", "-diff")
	require.NoError(t, err, out)
}

// unreachable is how terraform says that there is no way to the registry of providers.
var unreachable = regexp.MustCompile(`(?s)Failed to query available provider packages.*(no such host|connection refused|i/o timeout|network is unreachable)`)

func TestValidate(t *testing.T) {
	t.Parallel()
	if missing(t) {
		return
	}
	for _, cloud := range []string{"aws", "gcp"} {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			// It leaves files behind.
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(cloud)))
			example := filepath.Join(dir, "examples/complete")
			out, err := terraform(t, example, "init", "-backend=false", "-input=false", "-no-color")
			if err != nil && unreachable.MatchString(out) {
				t.Logf("NOT RUN: terraform validate needs the provider, which can't be had here: %s", unreachable.FindString(out))
				return
			}
			require.NoError(t, err, out)
			out, err = terraform(t, example, "validate", "-no-color")
			require.NoError(t, err, out)
		})
	}
}

// evaluate has Terraform work out a module's locals. What asks the cloud is left out: only variables and settings are there, which need no
// provider.
func evaluate(t *testing.T, module string, variables map[string]any, locals ...string) (map[string]json.RawMessage, error) {
	t.Helper()
	dir := t.TempDir()
	names, err := filepath.Glob(filepath.Join(module, "variables*.tf"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range append(names, filepath.Join(module, "settings.tf")) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(name)), text, 0o600))
	}
	var outputs strings.Builder
	for _, local := range locals {
		outputs.WriteString("output \"" + local + "\" {\n  value = local." + local + "\n}\n")
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "outputs.tf"), []byte(outputs.String()), 0o600))
	given, err := json.Marshal(variables)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "given.auto.tfvars.json"), given, 0o600))
	out, err := terraform(t, dir, "init", "-backend=false", "-input=false", "-no-color")
	require.NoError(t, err, out)
	if out, err := terraform(t, dir, "apply", "-auto-approve", "-input=false", "-no-color"); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	out, err = terraform(t, dir, "output", "-json", "-no-color")
	require.NoError(t, err, out)
	var values map[string]struct{ Value json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(out), &values), out)
	plain := make(map[string]json.RawMessage)
	for name, value := range values {
		plain[name] = value.Value
	}
	return plain, nil
}

// decode reads one of the values.
func decode[T any](t *testing.T, raw json.RawMessage) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal(raw, &value), string(raw))
	return value
}
