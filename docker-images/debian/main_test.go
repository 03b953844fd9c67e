package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/apt"
	"github.com/open-executor/executor/docker-images/debian/internal/deb/debtest"
)

// debian is a Debian of the packages tool and extra, in the version it is told.
type debian struct {
	t       *testing.T
	dir     string
	version string
	// vanished are versions whose files the archive no longer has; down is a network that is none.
	vanished []string
	down     bool
	out, err bytes.Buffer
}

func newDebian(t *testing.T) *debian {
	d := &debian{t: t, dir: t.TempDir(), version: "1.0"}
	d.define("suite: bookworm\narchitectures: [amd64]\nsets:\n  base: {packages: [tool]}\n  more: {on: base, packages: [extra]}\n")
	return d
}

func (d *debian) define(text string) {
	require.NoError(d.t, os.WriteFile(filepath.Join(d.dir, "packages.yaml"), []byte(text), 0o600))
}

func (d *debian) file(name, version string) []byte {
	return debtest.Package{Name: name, Version: version, Data: []debtest.Entry{
		debtest.Dir("usr", 0o755), debtest.Dir("usr/bin", 0o755), debtest.File("usr/bin/"+name, 0o755, version),
	}}.Bytes(d.t)
}

func (d *debian) run(_ context.Context, _ []string, program string, args ...string) (string, error) {
	fail := func(format string, values ...any) (string, error) {
		return "", &apt.ExitError{Program: program, Code: 100, Stderr: fmt.Sprintf(format, values...)}
	}
	switch filepath.Base(program) + " " + args[0] {
	case "apt-config dump":
		return "", nil
	case "apt-get update":
		return "'http://m/debian/dists/bookworm/InRelease' m_debian_dists_bookworm_InRelease 0\n", nil
	case "apt-get install":
		return fmt.Sprintf("Inst %s (%s Debian:12 [amd64])\n", args[len(args)-1], d.version), nil
	case "apt-cache show":
		var out strings.Builder
		for _, word := range args[2:] {
			name, version, exact := strings.Cut(word, "=")
			if !exact {
				version = d.version
			}
			file := d.file(name, version)
			fmt.Fprintf(&out, "Package: %s\nVersion: %s\nArchitecture: amd64\nFilename: pool/main/%[1]s_%[2]s.deb\nSize: %[3]d\nSHA256: %[4]x\n\n",
				name, version, len(file), sha256.Sum256(file))
		}
		return out.String(), nil
	case "apt-helper -o":
		if d.down {
			return fail("Failed to fetch x  Could not resolve 'm'")
		}
		args = args[slices.Index(args, "download-file")+1:]
		for ; len(args) > 0; args = args[3:] {
			name, version, _ := strings.Cut(strings.TrimSuffix(filepath.Base(args[1]), ".deb"), "_")
			if slices.Contains(d.vanished, version) {
				return fail("Failed to fetch %s  404  Not Found", args[0])
			}
			require.NoError(d.t, os.WriteFile(args[1], d.file(name, version), 0o600))
		}
		return "", nil
	}
	return fail("what is %s %q?", program, args)
}

// command runs a command with --dir and returns its exit code.
func (d *debian) command(words ...string) int {
	d.out.Reset()
	d.err.Reset()
	words = append([]string{words[0], "--dir", d.dir}, words[1:]...)
	return run(d.t.Context(), world{stdout: &d.out, stderr: &d.err, run: d.run}, words)
}

func (d *debian) lock() string {
	text, err := os.ReadFile(filepath.Join(d.dir, "lock_amd64.json"))
	require.NoError(d.t, err)
	return string(text)
}

func TestLockAndCheckFollowTheMirror(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	require.Zero(t, d.command("lock", "--if-stale"), d.err.String())
	require.Contains(t, d.out.String(), "lock_amd64.json: 2 packages, written\n", "a lock that isn't there is stale")
	first := d.lock()
	require.Contains(t, first, "pool/main/tool_1.0.deb")
	require.Zero(t, d.command("lock"))
	require.Contains(t, d.out.String(), "unchanged\n")
	require.Zero(t, d.command("check"))
	require.Equal(t, "the mirror has all that is locked; lock would change 0 packages\n", d.out.String())
	d.down = true
	require.Zero(t, d.command("lock", "--if-stale"), "what is listed need not be fetched to know that it is there")
	require.Equal(t, "the mirror has all that is locked\n", d.out.String())
	d.down = false

	// Replaced, and still there.
	d.version = "1.1"
	require.Zero(t, d.command("check"))
	require.Equal(t, "amd64 base: tool 1.0 became 1.1\namd64 more: extra 1.0 became 1.1\n"+
		"the mirror has all that is locked; lock would change 2 packages\n", d.out.String())
	require.Zero(t, d.command("lock", "--if-stale"))
	require.Equal(t, first, d.lock(), "what can be had is not touched")

	// No answer is not the same as gone.
	d.down = true
	require.Equal(t, exitFailed, d.command("check"))
	require.Contains(t, d.err.String(), "Could not resolve 'm'")
	require.Equal(t, exitFailed, d.command("lock", "--if-stale"))
	require.Equal(t, first, d.lock())

	d.down, d.vanished = false, []string{"1.0"}
	require.Equal(t, exitGone, d.command("check"))
	require.Contains(t, d.out.String(), "gone: tool 1.0 (pool/main/tool_1.0.deb)\n")
	require.Equal(t, exitGone, d.command("fetch", "--arch", "amd64", "--set", "base", "--into", t.TempDir()))
	require.Contains(t, d.err.String(), "the mirror no longer has tool 1.0; run go run ./docker-images/debian lock")
	require.Zero(t, d.command("lock", "--if-stale"))
	require.Contains(t, d.out.String(), "amd64 base: tool 1.0 became 1.1\n")
	require.Contains(t, d.lock(), "pool/main/tool_1.1.deb")
	require.Zero(t, d.command("check"))
}

func TestLockRefusesReasonsForNothing(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	d.define("suite: bookworm\narchitectures: [amd64]\nsets:\n  base: {packages: [tool]}\nscripts: {gone: once needed}\n")
	require.Equal(t, exitFailed, d.command("lock"))
	require.Contains(t, d.err.String(), "packages.yaml speaks of the scripts of gone, which is in no set")
}

func TestLockMendsADamagedLock(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, "lock_amd64.json"), []byte("<<<<<<< HEAD\n"), 0o600))
	require.Zero(t, d.command("lock"))
	require.Contains(t, d.lock(), "pool/main/tool_1.0.deb")
}

func TestRootFromFetchedPackages(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	require.Zero(t, d.command("lock"))
	into := t.TempDir()
	require.Zero(t, d.command("fetch", "--arch", "amd64", "--set", "more", "--into", into), d.err.String())
	files := strings.Fields(d.out.String())
	require.Len(t, files, 2, "those of the sets below count")

	output := filepath.Join(t.TempDir(), "more.tar.gz")
	require.Zero(t, d.command(append([]string{"root", "--arch", "amd64", "--set", "more", "--output", output}, files...)...), d.err.String())
	first, err := os.ReadFile(output)
	require.NoError(t, err)
	// Under other names and in another order.
	var copies []string
	for i, file := range slices.Backward(files) {
		contents, err := os.ReadFile(file)
		require.NoError(t, err)
		copies = append(copies, filepath.Join(into, fmt.Sprint(i)))
		require.NoError(t, os.WriteFile(copies[len(copies)-1], contents, 0o600))
	}
	require.Zero(t, d.command(append([]string{"root", "--arch", "amd64", "--set", "more", "--output", output}, copies...)...))
	again, err := os.ReadFile(output)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(first), hex.EncodeToString(again))

	require.Equal(t, exitFailed, d.command("root", "--arch", "amd64", "--set", "more", "--output", output, files[1]))
	require.Contains(t, d.err.String(), "package tool 1.0 of set base is not among the files")
	other := filepath.Join(into, "other.deb")
	require.NoError(t, os.WriteFile(other, d.file("tool", "6.6"), 0o600))
	require.Equal(t, exitFailed, d.command("root", "--arch", "amd64", "--set", "base", "--output", output, other))
	require.Contains(t, d.err.String(), "other.deb: no package of set base for amd64 has the SHA-256")
}

// What is locked under one name and holds another package is refused: scanners would be told of the wrong one.
func TestRootRefusesPackagesUnderFalseNames(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	require.Zero(t, d.command("lock"))
	text := strings.Replace(d.lock(), `"name":"tool","version":"1.0"`, `"name":"tool","version":"2.0"`, 1)
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, "lock_amd64.json"), []byte(text), 0o600))
	file := filepath.Join(t.TempDir(), "tool.deb")
	require.NoError(t, os.WriteFile(file, d.file("tool", "1.0"), 0o600))
	require.Equal(t, exitFailed, d.command("root", "--arch", "amd64", "--set", "base", "--output", file+".tar.gz", file))
	require.Contains(t, d.err.String(), "it is tool 1.0; the lock has it as tool 2.0")
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	require.Zero(t, d.command("lock"))
	for words, want := range map[string]string{
		"paint":                         "usage:",
		"lock --help":                   "usage:",
		"lock now":                      `lock takes no "now"`,
		"check --loud":                  "flag provided but not defined",
		"fetch --arch amd64":            "fetch needs --arch and --set",
		"fetch --arch amd64 --set base": "fetch needs --into",
		"root --arch amd64 --set base":  "root needs --output",
		"root --arch amd64 --set paint": `no set "paint"; there are base, more`,
		"root --arch mips --set base":   "lock_mips.json",
	} {
		require.Equal(t, exitFailed, d.command(strings.Fields(words)...), words)
		require.Contains(t, d.err.String(), want, words)
	}
	require.Equal(t, exitFailed, run(t.Context(), world{stderr: &d.err}, nil))
}
