package apt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

var testMirror = Mirror{"http://m/debian", "http://m/debian-security"}

// locked is a package whose file holds its name.
func locked(name string) lockfile.Package {
	sum := sha256.Sum256([]byte(name))
	return lockfile.Package{
		Set: "base", Name: name, Version: "1+b1", Architecture: "amd64", Archive: lockfile.Main,
		Path: "pool/main/" + name + "_1+b1_amd64.deb", Size: int64(len(name)), SHA256: hex.EncodeToString(sum[:]),
	}
}

// helper is an apt-helper that writes what contents gives for a file, and says what reasons gives where it fails.
func helper(t *testing.T, contents, reasons map[string]string) (Runner, *[]string) {
	var asked []string
	return func(_ context.Context, _ []string, name string, args ...string) (string, error) {
		require.Equal(t, Helper, name)
		for len(args) > 0 && args[0] != "download-file" {
			args = args[2:]
		}
		var failures []string
		for args = args[1:]; len(args) > 0; args = args[3:] {
			asked = append(asked, args[0])
			require.True(t, strings.HasPrefix(args[2], "SHA256:"))
			name, _, _ := strings.Cut(filepath.Base(args[1]), "_")
			if reason, fails := reasons[name]; fails {
				failures = append(failures, "E: Failed to fetch "+args[0]+" "+reason)
				continue
			}
			require.NoError(t, os.WriteFile(args[1], []byte(contents[name]), 0o600))
		}
		if failures != nil {
			return "", &ExitError{Program: name, Code: 100, Stderr: errorsOf(strings.Join(append(failures, "E: Download Failed"), "\n"))}
		}
		return "", nil
	}, &asked
}

func TestFetch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run, asked := helper(t, map[string]string{"git": "git", "zlib1g": "zlib1g"}, nil)
	// The same package may be in two sets.
	packages := []lockfile.Package{locked("git"), locked("zlib1g"), locked("git")}
	files, err := Fetch(t.Context(), run, testMirror, packages, dir)
	require.NoError(t, err)
	require.Equal(t, []string{"http://m/debian/pool/main/git_1%2bb1_amd64.deb", "http://m/debian/pool/main/zlib1g_1%2bb1_amd64.deb"}, *asked)
	require.Equal(t, filepath.Join(dir, "git_1+b1_amd64.deb"), files[0])
	require.Equal(t, files[0], files[2])

	require.NoError(t, os.WriteFile(files[1], []byte("damaged"), 0o600))
	*asked = nil
	_, err = Fetch(t.Context(), run, testMirror, packages, dir)
	require.NoError(t, err)
	require.Equal(t, []string{"http://m/debian/pool/main/zlib1g_1%2bb1_amd64.deb"}, *asked, "what is right is not fetched again")
}

func TestFetchTellsGoneFromUnreachable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reasons map[string]string
		gone    []string
	}{
		"replaced":           {map[string]string{"git": " 404  Not Found [IP: 192.0.2.1 80]"}, []string{"git"}},
		"both replaced":      {map[string]string{"git": " 404  Not Found", "zlib1g": " 410  Gone"}, []string{"git", "zlib1g"}},
		"a folder":           {map[string]string{"git": " File not found - /srv/x.deb (2: No such file or directory)"}, []string{"git"}},
		"gone and no answer": {map[string]string{"git": " 404  Not Found", "zlib1g": " Connection timed out"}, []string{"git"}},
		"no network":         {map[string]string{"git": " Could not resolve 'm'", "zlib1g": " Could not connect to m:80"}, nil},
		"a broken proxy":     {map[string]string{"git": " 502  Bad Gateway"}, nil},
		"altered on the way": {map[string]string{"git": " Hash Sum mismatch"}, nil},
	}
	for name, test := range tests {
		run, _ := helper(t, map[string]string{"zlib1g": "zlib1g"}, test.reasons)
		_, err := Fetch(t.Context(), run, testMirror, []lockfile.Package{locked("git"), locked("zlib1g")}, t.TempDir())
		require.Error(t, err, name)
		vanished, ok := errors.AsType[*GoneError](err)
		require.Equal(t, test.gone != nil, ok, name)
		if !ok {
			require.ErrorContains(t, err, "fetching packages from http://m/debian", name)
			require.ErrorContains(t, err, test.reasons["git"], name)
			continue
		}
		var names []string
		for _, p := range vanished.Packages {
			names = append(names, p.Name)
		}
		require.Equal(t, test.gone, names, name)
		require.ErrorContains(t, err, "the mirror no longer has git 1+b1", name)
		require.ErrorContains(t, err, "go run ./docker-images/debian lock", name)
	}
}

func TestFetchChecksWhatItGot(t *testing.T) {
	t.Parallel()
	for contents, want := range map[string]string{"gi": "2 bytes or more", "gitt": "4 bytes or more", "tig": "its SHA-256 is"} {
		run, _ := helper(t, map[string]string{"git": contents}, nil)
		_, err := Fetch(t.Context(), run, testMirror, []lockfile.Package{locked("git")}, t.TempDir())
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "the lock has git 1+b1")
	}
}
