package runtimetest

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

func testFilesPassBetweenSteps(t *testing.T, b *bundle) {
	_, err := b.run(t, "write", "mkdir deep && echo text > deep/file && ln -s deep/file link")
	require.NoError(t, err)
	entry, err := b.run(t, "read", "cat link && echo more >> deep/file")
	require.NoError(t, err)
	require.Equal(t, "stdout: text\n", entry.Out)
	require.Equal(t, "text\nmore\n", b.take(t, "deep/file"))
}

func testTakeFile(t *testing.T, b *bundle) {
	const limit = 10
	_, err := b.run(t, "make", `printf 0123456789 > fits
printf 0123456789a > big
mkdir dir
echo secret > dir/file
ln -s dir/file link
ln -s / root
ln -s .. up
mkfifo pipe
: > empty`)
	require.NoError(t, err)

	content, err := b.session.TakeFile(t.Context(), "fits", limit)
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(content))
	_, err = b.session.TakeFile(t.Context(), "fits", limit)
	require.ErrorIs(t, err, fs.ErrNotExist, "taking a file removes it")
	content, err = b.session.TakeFile(t.Context(), "empty", limit)
	require.NoError(t, err)
	require.Empty(t, content)
	_, err = b.session.TakeFile(t.Context(), "no/such/file", limit)
	require.ErrorIs(t, err, fs.ErrNotExist)

	for _, path := range []string{"big", "dir", "link", "pipe", "root/etc/hostname", "up/x", "../x", "/etc/hostname", ".", ""} {
		_, err := b.session.TakeFile(t.Context(), path, limit)
		require.Errorf(t, err, "path %q", path)
		require.NotErrorIsf(t, err, fs.ErrNotExist, "path %q", path)
	}
	entry, err := b.run(t, "look", "wc -c < big; ls -d dir link pipe")
	require.NoError(t, err, "what can't be taken stays")
	require.Equal(t, "stdout: 11\nstdout: dir\nstdout: link\nstdout: pipe\n", entry.Out)
}
