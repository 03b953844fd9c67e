package install

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// archiveOf packs one file beside another one.
func archiveOf(t *testing.T, name, content string) []byte {
	t.Helper()
	return packed(t, [2]string{"README.md", "hi"}, [2]string{name, content})
}

// packed is a compressed archive of files, each a name and a content.
func packed(t *testing.T, files ...[2]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	compressed := gzip.NewWriter(&archive)
	entries := tar.NewWriter(compressed)
	for _, file := range files {
		require.NoError(t, entries.WriteHeader(&tar.Header{Name: file[0], Typeflag: tar.TypeReg, Size: int64(len(file[1])), Mode: 0o755}))
		_, err := entries.Write([]byte(file[1]))
		require.NoError(t, err)
	}
	require.NoError(t, entries.Close())
	require.NoError(t, compressed.Close())
	return archive.Bytes()
}

// release serves files as the releases do.
func release(t *testing.T, files map[string][]byte) Src {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	return Src{Releases: server.URL, Version: "5.2.1", OS: "linux", Arch: "amd64", HTTP: server.Client()}
}

const (
	archivePath = "/5.2.1/src-cli_5.2.1_linux_amd64.tar.gz"
	sumsPath    = "/5.2.1/src-cli_5.2.1_checksums.txt"
)

func sumLine(archive []byte) []byte {
	return fmt.Appendf(nil, "%x  src-cli_5.2.1_linux_amd64.tar.gz\n", sha256.Sum256(archive))
}

func TestInstallReplacesAnEarlierSrc(t *testing.T) {
	t.Parallel()
	archive := archiveOf(t, "src", "the program")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "src"), []byte("old"), 0o600))
	require.NoError(t, release(t, map[string][]byte{archivePath: archive, sumsPath: sumLine(archive)}).Install(t.Context(), dir))
	got, err := os.ReadFile(filepath.Join(dir, "src"))
	require.NoError(t, err)
	require.Equal(t, "the program", string(got))
	info, err := os.Stat(filepath.Join(dir, "src"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o755), info.Mode())
	requireOnly(t, dir, "src")
}

func requireOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	var found []string
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	require.Equal(t, names, found)
}

func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	archive := archiveOf(t, "src", "the program")
	for name, test := range map[string]struct {
		files   map[string][]byte
		version string
		want    string
	}{
		"a tampered archive":   {files: map[string][]byte{archivePath: archiveOf(t, "src", "evil"), sumsPath: sumLine(archive)}, want: "nothing was installed"},
		"an unlisted platform": {files: map[string][]byte{archivePath: archive, sumsPath: []byte("00  other.tar.gz\n")}, want: "there is none for this platform"},
		"missing checksums":    {files: map[string][]byte{archivePath: archive}, want: "unexpected status code 404"},
		"a missing archive":    {files: map[string][]byte{sumsPath: sumLine(archive)}, want: "unexpected status code 404"},
		"no program inside": {files: map[string][]byte{archivePath: archiveOf(t, "bin/src", "x"), sumsPath: sumLine(archiveOf(t, "bin/src", "x"))},
			want: `there is no "src" in it`},
		"no archive at all": {files: map[string][]byte{archivePath: []byte("text"), sumsPath: sumLine([]byte("text"))}, want: "src-cli_5.2.1_linux_amd64.tar.gz"},
		"a strange version": {version: "../../etc", want: "not of the form"},
		"an empty version":  {version: " ", want: "not of the form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := release(t, test.files)
			if test.version != "" {
				src.Version = test.version
			}
			dir := t.TempDir()
			require.ErrorContains(t, src.Install(t.Context(), dir), test.want)
			requireOnly(t, dir)
		})
	}
}

func TestInstallIntoAMissingDirectory(t *testing.T) {
	t.Parallel()
	archive := archiveOf(t, "src", "the program")
	src := release(t, map[string][]byte{archivePath: archive, sumsPath: sumLine(archive)})
	require.ErrorIs(t, src.Install(t.Context(), filepath.Join(t.TempDir(), "nowhere")), fs.ErrNotExist)
}
