package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

func TestADirectoryBecomesAnImage(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bin/tool"), []byte("program"), 0o700))
	require.NoError(t, os.Symlink("tool", filepath.Join(dir, "bin/link")))

	var stderr bytes.Buffer
	require.NoError(t, run([]string{"-name", "some/tool:1", "-out", out, "-entrypoint", "/bin/tool -v", "-cmd", "all", "-user", "7:8", dir}, &stderr))
	require.Empty(t, stderr.String())

	tag, err := name.NewTag("some/tool:1")
	require.NoError(t, err)
	image, err := tarball.ImageFromPath(out, &tag)
	require.NoError(t, err)
	file, err := image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "linux", file.OS)
	require.Equal(t, []string{"/bin/tool", "-v"}, file.Config.Entrypoint)
	require.Equal(t, []string{"all"}, file.Config.Cmd)
	require.Equal(t, "7:8", file.Config.User)

	content := mutate.Extract(image)
	defer content.Close()
	found := map[string]string{}
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		found[h.Name] = h.FileInfo().Mode().String() + " " + h.Linkname + string(body)
	}
	require.Equal(t, "-rwx------ program", found["bin/tool"])
	require.Contains(t, found["bin/link"], "tool")

	left, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Len(t, left, 1, "only the archive is there")
}

func TestWhatCanNotBeMade(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "image.tar")
	for title, c := range map[string]struct {
		args []string
		says string
	}{
		"no name":      {[]string{"-out", out, dir}, `-name ""`},
		"no tag":       {[]string{"-name", "a/b", "-out", out, dir}, `-name "a/b"`},
		"no out":       {[]string{"-name", "a/b:1", dir}, "give -name, -out and one directory"},
		"no directory": {[]string{"-name", "a/b:1", "-out", out}, "give -name, -out and one directory"},
		"not there":    {[]string{"-name", "a/b:1", "-out", out, dir + "/nowhere"}, "nowhere can't be packed"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, run(c.args, io.Discard), c.says)
			require.NoFileExists(t, out)
		})
	}
}
