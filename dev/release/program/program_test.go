package program

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/program/programtest"
)

const commitTime = 1_700_000_000

// file writes a program, for amd64 unless it says something else.
func file(t *testing.T, p programtest.Program) string {
	t.Helper()
	if p.Machine == 0 {
		p.Machine = elf.EM_X86_64
	}
	if p.GoVersion == "" {
		p.GoVersion = "go1.26.8"
	}
	path := filepath.Join(t.TempDir(), "executor")
	require.NoError(t, os.WriteFile(path, p.Bytes(), 0o755))
	return path
}

func TestReadsWhatTheGoCommandWrote(t *testing.T) {
	t.Parallel()
	read, err := Read(file(t, programtest.Program{
		Modules: "path\texample.com/x/cmd/y\nmod\texample.com/x\t(devel)\t\ndep\texample.com/d\tv1.2.3\th1:AAAA\nbuild\tvcs.revision=abc\n",
	}), "amd64")
	require.NoError(t, err)
	require.True(t, read.HasModules())
	require.Equal(t, "go1.26.8", read.GoVersion)
	require.Equal(t, "example.com/x", read.Build.Main.Path)
	require.Len(t, read.Build.Deps, 1)
	require.Equal(t, "v1.2.3", read.Build.Deps[0].Version)
	require.Equal(t, "abc", read.Build.Settings[0].Value)
}

// Bazel's programs say which Go made them, and nothing else.
func TestReadsProgramsWithoutModules(t *testing.T) {
	t.Parallel()
	read, err := Read(file(t, programtest.Program{GoVersion: "go1.26.8 X:nocoverageredesign", Machine: elf.EM_AARCH64}), "arm64")
	require.NoError(t, err)
	require.False(t, read.HasModules())
	require.Equal(t, "go1.26.8 X:nocoverageredesign", read.GoVersion)
}

func TestReadsThisProgram(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	opened, err := elf.Open(self)
	require.NoError(t, err)
	defer opened.Close()
	for arch, machine := range machines {
		read, err := Read(self, arch)
		if machine != opened.Machine {
			require.ErrorContains(t, err, "linux-"+arch+" was expected")
			continue
		}
		require.NoError(t, err)
		require.NotEmpty(t, read.GoVersion)
	}
}

func TestRefusesWhatIsNoProgramForThePlatform(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755))
	noGo := file(t, programtest.Program{})
	content, err := os.ReadFile(noGo)
	require.NoError(t, err)
	copy(content[128:], make([]byte, 32)) // where the build information begins
	require.NoError(t, os.WriteFile(noGo, content, 0o755))
	for name, check := range map[string]struct{ path, arch, want string }{
		"missing":      {filepath.Join(t.TempDir(), "none"), "amd64", "no such file"},
		"a directory":  {t.TempDir(), "amd64", "is no Linux program"},
		"a script":     {text, "amd64", "is no Linux program"},
		"arm64":        {file(t, programtest.Program{Machine: elf.EM_AARCH64}), "amd64", "is for linux-arm64, and linux-amd64 was expected: are the two executors swapped?"},
		"amd64":        {file(t, programtest.Program{}), "arm64", "is for linux-amd64, and linux-arm64 was expected"},
		"riscv":        {file(t, programtest.Program{Machine: elf.EM_RISCV}), "amd64", "is for RISCV, and"},
		"not Go":       {noGo, "amd64", "is no Go program"},
		"architecture": {text, "s390x", `architecture "s390x" is not one that is published`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(check.path, check.arch)
			require.ErrorContains(t, err, check.want)
		})
	}
}

func TestCheckStamp(t *testing.T) {
	t.Parallel()
	stamped := func(version, timestamp string) programtest.Program {
		return programtest.Program{Symbols: map[string]string{versionVariable: version, timestampVariable: timestamp}}
	}
	untimed := programtest.Program{Symbols: map[string]string{versionVariable: "5.2.0"}}
	for name, check := range map[string]struct {
		program programtest.Program
		version string
		want    string // "" when it passes
	}{
		"of this version and time":            {stamped("5.2.0", "1700000000"), "5.2.0", ""},
		"linked for an earlier commit":        {stamped("5.2.0", "1600000000"), "5.2.0", ""},
		"nothing reads the time":              {untimed, "5.2.0", ""},
		"a development build as one":          {stamped("0.0.0+dev", ""), "0.0.0+dev", ""},
		"not stamped":                         {stamped("0.0.0+dev", ""), "5.2.0", `carries the version "0.0.0+dev", and this commit's is "5.2.0"; build it with --config=release`},
		"of another version":                  {stamped("5.1.0", "1700000000"), "5.2.0", `carries the version "5.1.0"`},
		"a release as a development build":    {stamped("5.1.0", "1700000000"), "0.0.0+dev", `carries the version "5.1.0"`},
		"from the future":                     {stamped("5.2.0", "1700000001"), "5.2.0", "built from something newer"},
		"no time":                             {stamped("5.2.0", "{VERSION_TIMESTAMP}"), "5.2.0", "is no number of seconds"},
		"another program":                     {programtest.Program{Symbols: map[string]string{"main.x": ""}}, "5.2.0", "it is no executor"},
		"without symbols":                     {programtest.Program{Extra: "…5.2.0\x00"}, "5.2.0", ""},
		"without symbols, a development one":  {programtest.Program{}, "0.0.0+dev", ""},
		"without symbols, not stamped":        {programtest.Program{Extra: "0.0.0+dev"}, "5.2.0", `does not carry this commit's version "5.2.0"`},
		"without symbols, a module's version": {programtest.Program{Modules: "path\tx\nmod\tx\t(devel)\t\ndep\ty\tv5.2.0\th1:A\n"}, "5.2.0", "does not carry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read, err := Read(file(t, check.program), "amd64")
			require.NoError(t, err)
			err = read.CheckStamp(check.version, commitTime)
			if check.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, check.want)
			}
		})
	}
}

func TestBoundsWhatAStampMayBe(t *testing.T) {
	t.Parallel()
	long := string(make([]byte, maxStamp+1))
	_, err := Read(file(t, programtest.Program{Symbols: map[string]string{versionVariable: long}}), "amd64")
	require.ErrorContains(t, err, "is 257 bytes long, more than 256")
}
