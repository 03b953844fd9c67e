package microvm

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command/commandtest"
)

func TestArchiveHoldsASmallWorkspaceAsItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written := time.Date(2020, 3, 4, 5, 6, 7, 0, time.UTC)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", "empty"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "script"), []byte("echo up\n"), 0o755))
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a", "script"), written, written))
	require.NoError(t, os.Chmod(filepath.Join(dir, "a", "empty"), 0o700|os.ModeSticky))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "away")))

	packed, err := archive(dir)
	require.NoError(t, err)
	var got []string
	for in := tar.NewReader(bytes.NewReader(packed)); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		content, err := io.ReadAll(in)
		require.NoError(t, err)
		got = append(got, fmt.Sprintf("%c %s %o %q %q", header.Typeflag, header.Name, header.Mode, header.Linkname, content))
		require.Equal(t, os.Getuid(), header.Uid)
		if header.Name == "a/script" {
			require.True(t, written.Equal(header.ModTime))
		}
	}
	require.Equal(t, []string{
		`5 a 755 "" ""`,
		`5 a/empty 1700 "" ""`,
		`0 a/script 755 "" "echo up\n"`,
		`2 away 777 "/etc/passwd" ""`,
	}, got)
}

func TestArchiveLeavesOtherWorkspacesToTheDisk(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(dir string) error{
		"many files": func(dir string) (err error) {
			for i := range archiveEntries + 1 {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600))
			}
			return err
		},
		"a large file": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "file"), make([]byte, archiveBytes+1), 0o600)
		},
		"much in all": func(dir string) error {
			half := make([]byte, archiveBytes/2+1)
			return errors.Join(os.WriteFile(filepath.Join(dir, "1"), half, 0o600), os.WriteFile(filepath.Join(dir, "2"), half, 0o600))
		},
		"two names": func(dir string) error {
			one := filepath.Join(dir, "one")
			return errors.Join(os.WriteFile(one, nil, 0o600), os.Link(one, filepath.Join(dir, "two")))
		},
		"a pipe": func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, fill(dir))
			_, err := archive(dir)
			require.ErrorIs(t, err, errUnfit)
		})
	}
}

// A guest of the pool that can't take the files costs the job its machine, in words.
func TestWaitingGuestsThatTakeNoFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		play  script
		large bool
		want  string
	}{
		"refuses them":       {refuse(isUnpack, "no room"), false, "copying the job's files: no room"},
		"never has them":     {mute(isUnpack), false, "copying the job's files: the guest agent did not answer within 1m0s"},
		"clings to its disk": {refuse(isUnmount, "busy"), true, "unmounting the empty disk: busy"},
		"loses its disk":     {refuse(isSecondMount(), "bad superblock"), true, "mounting the job's disk: bad superblock"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := pooled(t, 1, c.play)
				f.ready()
				job := f.job(t, commandtest.NewLog())
				if c.large {
					require.NoError(t, os.WriteFile(filepath.Join(job.WorkspaceDir, "large"), []byte(strings.Repeat("x", archiveBytes+1)), 0o600))
				}
				_, err := f.Open(t.Context(), job)
				require.ErrorContains(t, err, "failed to start firecracker vm: "+c.want)
				require.True(t, f.driver.instances()[0].ended())
			})
		})
	}
}
