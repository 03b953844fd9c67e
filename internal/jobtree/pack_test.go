package jobtree

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// packed makes an archive of entries whose content is their name.
func packed(t *testing.T, entries ...tar.Header) *bytes.Reader {
	t.Helper()
	var content bytes.Buffer
	out := tar.NewWriter(&content)
	for _, entry := range entries {
		entry.Uid, entry.Gid, entry.Format = os.Getuid(), os.Getgid(), tar.FormatPAX
		if entry.Typeflag == tar.TypeReg {
			entry.Size = int64(len(entry.Name))
		}
		require.NoError(t, out.WriteHeader(&entry))
		if entry.Size > 0 {
			_, err := out.Write([]byte(entry.Name))
			require.NoError(t, err)
		}
	}
	require.NoError(t, out.Close())
	return bytes.NewReader(content.Bytes())
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written := time.Date(2020, 3, 4, 5, 6, 7, 0, time.UTC)
	require.NoError(t, Unpack(dir, packed(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "closed", Mode: 0o500, ModTime: written},
		tar.Header{Typeflag: tar.TypeReg, Name: "closed/script", Mode: 0o4755, ModTime: written},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "away", Linkname: "/etc/passwd"},
	)))
	info, err := os.Stat(filepath.Join(dir, "closed"))
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o500, info.Mode())
	require.True(t, written.Equal(info.ModTime()), "although something was put into it")
	script := filepath.Join(dir, "closed", "script")
	info, err = os.Stat(script)
	require.NoError(t, err)
	require.Equal(t, os.ModeSetuid|0o755, info.Mode())
	require.True(t, written.Equal(info.ModTime()))
	content, err := os.ReadFile(script)
	require.NoError(t, err)
	require.Equal(t, "closed/script", string(content))
	target, err := os.Readlink(filepath.Join(dir, "away"))
	require.NoError(t, err)
	require.Equal(t, "/etc/passwd", target)
}

// What comes from a repository stays in the workspace.
func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for name, entries := range map[string][]tar.Header{
		"upwards":          {{Typeflag: tar.TypeReg, Name: "../file", Mode: 0o600}},
		"absolute":         {{Typeflag: tar.TypeReg, Name: outside + "/file", Mode: 0o600}},
		"through a link":   {{Typeflag: tar.TypeSymlink, Name: "out", Linkname: outside}, {Typeflag: tar.TypeReg, Name: "out/file", Mode: 0o600}},
		"over a link":      {{Typeflag: tar.TypeSymlink, Name: "out", Linkname: outside + "/file"}, {Typeflag: tar.TypeReg, Name: "out", Mode: 0o600}},
		"a device":         {{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}},
		"a second name":    {{Typeflag: tar.TypeLink, Name: "file", Linkname: "/etc/passwd"}},
		"twice the same":   {{Typeflag: tar.TypeReg, Name: "file"}, {Typeflag: tar.TypeReg, Name: "file"}},
		"without its home": {{Typeflag: tar.TypeReg, Name: "dir/file"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.Error(t, Unpack(dir, packed(t, entries...)))
			left, err := os.ReadDir(outside)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
	require.Error(t, Unpack(t.TempDir(), bytes.NewReader([]byte("no archive, but as long as a block is: "+string(make([]byte, 512))))))
}
