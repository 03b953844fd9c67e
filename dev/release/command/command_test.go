package command

import (
	"bytes"
	"debug/elf"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/program/programtest"
)

const commit = "0123456789012345678901234567890123456789"

// arguments are those of a release that is fine.
func arguments(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	program := func(machine elf.Machine) string {
		return string(programtest.Program{Machine: machine, GoVersion: "go1.26.8", Modules: "path\tm\nmod\tm\t(devel)\t\n", Extra: "5.2.0\x00"}.Bytes())
	}
	put("go.mod", "module m\n")
	put("go.sum", "")
	return map[string]string{
		"out": t.TempDir(), "linux-amd64": put("amd64", program(elf.EM_X86_64)), "linux-arm64": put("arm64", program(elf.EM_AARCH64)),
		"commit": commit, "commit-time": "1700000000", "version": "5.2.0", "module-dir": dir, "info": put("info", "i\n"),
		"source-url": "https://user:secret@example.com/m.git",
	}
}

func run(arguments map[string]string, more ...string) (stderr string, err error) {
	var words []string
	for name, value := range arguments {
		words = append(words, "--"+name, value)
	}
	var out bytes.Buffer
	err = Run(append(words, more...), func(string) string { return "" }, &out)
	return out.String(), err
}

func TestRun(t *testing.T) {
	t.Parallel()
	arguments := arguments(t)
	stderr, err := run(arguments)
	require.NoError(t, err)
	require.Empty(t, stderr)
	provenance, err := os.ReadFile(filepath.Join(arguments["out"], "provenance.json"))
	require.NoError(t, err)
	require.Contains(t, string(provenance), `"git+https://example.com/m.git"`)
	require.NotContains(t, string(provenance), "secret")

	_, err = run(arguments)
	require.ErrorContains(t, err, "is not empty: it holds COMMIT")
}

func TestRefusesArguments(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"out", "linux-amd64", "linux-arm64", "commit", "commit-time", "version", "info"} {
		arguments := arguments(t)
		delete(arguments, name)
		_, err := run(arguments)
		require.EqualError(t, err, "--"+name+" is missing")
	}
	for want, change := range map[string][2]string{
		`--commit "main" is not the full hash of a commit`: {"commit", "main"},
		`invalid value "soon" for flag -commit-time`:       {"commit-time", "soon"},
		"no such file or directory":                        {"out", "/nonexistent/out"},
		"flag provided but not defined: -nonsense":         {"nonsense", "1"},
	} {
		arguments := arguments(t)
		arguments[change[0]] = change[1]
		_, err := run(arguments)
		require.ErrorContains(t, err, want)
	}
	_, err := run(arguments(t), "more")
	require.EqualError(t, err, `unexpected argument "more"`)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	stderr, err := run(nil, "--help")
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Contains(t, stderr, "-packages-linux-arm64 file")
}
