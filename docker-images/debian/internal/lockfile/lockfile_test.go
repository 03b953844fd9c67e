package lockfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func pkg(set, name, version string) Package {
	return Package{
		Set: set, Name: name, Version: version, Architecture: "amd64", Archive: Main,
		Path: "pool/main/x/" + name + "_" + version + "_amd64.deb", Size: 10, SHA256: strings.Repeat("ab", 32),
	}
}

func TestALockReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock := &Lock{Suite: "bookworm", Architecture: "amd64", Packages: []Package{
		pkg("git", "git", "1:2.39.5-0+deb12u3"), pkg("base", "libc6", "2.36"), pkg("base", "bash", "5.2~rc1"),
	}}
	changed, err := lock.Write(dir)
	require.NoError(t, err)
	require.True(t, changed)
	back, err := Read(File(dir, "amd64"))
	require.NoError(t, err)
	require.Equal(t, []Package{lock.Packages[2], lock.Packages[1], lock.Packages[0]}, back.Packages)
	require.Equal(t, []Package{lock.Packages[2], lock.Packages[1]}, lock.Of("base"))
	text, err := os.ReadFile(filepath.Join(dir, "lock_amd64.json"))
	require.NoError(t, err)
	require.Equal(t, 9, strings.Count(string(text), "\n"), "a line for each package")

	changed, err = back.Write(dir)
	require.NoError(t, err)
	require.False(t, changed)
	missing, err := ReadOrEmpty(dir, "arm64")
	require.NoError(t, err)
	require.Empty(t, missing.Packages)
}

func TestRefusesDamagedLocks(t *testing.T) {
	t.Parallel()
	lock := &Lock{Suite: "bookworm", Architecture: "amd64", Packages: []Package{pkg("base", "bash", "5.2")}}
	good, err := lock.Bytes()
	require.NoError(t, err)
	for change, want := range map[string]string{
		`"amd64","archive" -> "arm64","archive"`: `it is of architecture "arm64"`,
		`"main" -> "contrib"`:                    `archive "contrib"`,
		"pool/main -> pool/../../etc":            "path",
		"pool/main -> /pool/main":                "path",
		".deb -> .tar":                           "path",
		`"size":10 -> "size":0`:                  "size 0",
		`"size":10 -> "size":9999999999`:         "size 9999999999",
		"abab -> ABAB":                           "sha256",
		`abab" -> "`:                             "sha256",
		`"name":"bash" -> "name":""`:             `name ""`,
		`"suite" -> "release"`:                   "unknown field",
	} {
		old, new, _ := strings.Cut(change, " -> ")
		require.Contains(t, string(good), old)
		_, err := Parse([]byte(strings.Replace(string(good), old, new, 1)))
		require.ErrorContains(t, err, want, change)
	}
	lock.Packages = append(lock.Packages, pkg("base", "bash", "5.3"))
	_, err = lock.Bytes()
	require.ErrorContains(t, err, "bash 5.3 stands twice in set base")

	file := filepath.Join(t.TempDir(), "lock_amd64.json")
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = Read(file)
	require.ErrorContains(t, err, "go run ./docker-images/debian lock")
}

func TestChanges(t *testing.T) {
	t.Parallel()
	moved := pkg("base", "dash", "0.5")
	moved.Archive, moved.Path = Security, "pool/updates/main/d/dash_0.5_amd64.deb"
	before := &Lock{Packages: []Package{pkg("base", "bash", "5.2"), pkg("base", "dash", "0.5"), pkg("base", "perl", "5.36"), pkg("base", "sed", "4")}}
	now := &Lock{Packages: []Package{pkg("base", "bash", "5.3"), moved, pkg("base", "sed", "4"), pkg("git", "git", "2.39")}}
	var lines []string
	for _, change := range Changes(before, now) {
		lines = append(lines, change.String())
	}
	require.Equal(t, []string{
		"base: bash 5.2 became 5.3",
		"base: dash 0.5 has another file, security/pool/updates/main/d/dash_0.5_amd64.deb",
		"base: perl 5.36 went",
		"git: git 2.39 came",
	}, lines)
	require.Empty(t, Changes(now, now))
}
