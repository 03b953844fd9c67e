package imagedisk

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/flock"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		keys     []string
		registry string
		want     string
	}{
		"none":                {nil, "r.test", ""},
		"name":                {[]string{"other.test", "r.test"}, "r.test", "r.test"},
		"port":                {[]string{"r.test", "r.test:5000"}, "r.test:5000", "r.test:5000"},
		"other port":          {[]string{"r.test:5000"}, "r.test", ""},
		"address":             {[]string{"https://r.test/v1/"}, "r.test", "https://r.test/v1/"},
		"plain address":       {[]string{"http://r.test:5000"}, "r.test:5000", "http://r.test:5000"},
		"name wins":           {[]string{"https://r.test/v1/", "r.test"}, "r.test", "r.test"},
		"prefix is another":   {[]string{"r.test.evil", "r.tes"}, "r.test", ""},
		"hub's old address":   {[]string{"docker.io", "https://index.docker.io/v1/"}, "index.docker.io", "https://index.docker.io/v1/"},
		"hub":                 {[]string{"docker.io"}, "index.docker.io", "docker.io"},
		"hub's registry":      {[]string{"https://registry-1.docker.io/v2/"}, "index.docker.io", "https://registry-1.docker.io/v2/"},
		"hub's, for a mirror": {[]string{"docker.io"}, "mirror.test", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth := api.DockerAuthConfig{Auths: map[string]api.DockerAuth{}}
			for _, key := range test.keys {
				auth.Auths[key] = api.DockerAuth{Auth: []byte(key + "-user:pass:word\x00")}
			}
			if test.want != "" {
				auth.Auths[test.want] = api.DockerAuth{Auth: []byte("user:pass:word\x00")}
			}
			who, err := credentials(auth, test.registry)
			require.NoError(t, err)
			got, err := who.Authorization()
			require.NoError(t, err)
			if test.want == "" {
				require.Empty(t, got.Username+got.Password)
				return
			}
			require.Equal(t, "user", got.Username)
			require.Equal(t, "pass:word", got.Password)
		})
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(dir, link))
	open := filepath.Join(dir, "open")
	require.NoError(t, os.Mkdir(open, 0o755))
	plain := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	for path, want := range map[string]string{"relative": "must be absolute", link: "is no directory", open: "has mode 0755", plain: "can't be made"} {
		_, err := New(Options{Dir: path, Make: (&maker{}).make})
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.Operator, fault.ClassOf(err))
	}
	_, err := New(Options{Dir: filepath.Join(dir, "a", "b"), Make: (&maker{}).make})
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "a", "b"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	one, err := try(path, flock.Shared)
	require.NoError(t, err)
	two, err := try(path, flock.Shared)
	require.NoError(t, err)
	_, err = try(path, flock.Exclusive)
	require.ErrorIs(t, err, flock.ErrHeld)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = take(ctx, path, flock.Exclusive)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, two.release())

	// Who waits while the file is removed gets the lock on the new file.
	taken := make(chan *lock)
	go func() {
		l, err := take(context.Background(), path, flock.Exclusive)
		if err != nil {
			panic(err)
		}
		taken <- l
	}()
	require.NoError(t, os.Remove(path))
	require.NoError(t, one.release())
	l := <-taken
	_, err = try(path, flock.Shared)
	require.ErrorIs(t, err, flock.ErrHeld)
	require.NoError(t, l.release())
	_, err = try(filepath.Join(path, "below"), flock.Exclusive)
	require.ErrorIs(t, err, syscall.ENOTDIR)
}
