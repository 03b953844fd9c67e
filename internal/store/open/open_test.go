package open

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/sqlite"
)

func TestSQLitePath(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                       "/data/executor.db",
		"sqlite:":                "/data/executor.db",
		"sqlite:/var/lib/x.db":   "/var/lib/x.db",
		"sqlite:///var/lib/x.db": "/var/lib/x.db",
		"sqlite:/a//b/../x%20?y": "/a/x%20?y",
		"sqlite::memory:":        ":memory:",
	} {
		got, err := sqlitePath(url, "/data")
		require.NoError(t, err, url)
		require.Equal(t, want, got, url)
	}
}

func TestRefusedURLs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, dataDir, want string }{
		{"sqlite:", "", "none is set"},
		{"/var/lib/x.db", "/data", "no scheme"},
		{"sqlite:x.db", "/data", "absolute path"},
		{"sqlite:/var/lib/", "/data", "absolute path"},
		{"sqlite://host/x.db", "/data", "SQLite has none"},
		{"postgres://me:hunter2hunter2@host/db", "/data", `scheme "postgres"`},
		{"postgresql://me:hunter2hunter2@host/db", "/data", `scheme "postgresql"`},
		{"mysql://me:hunter2hunter2@host/db", "/data", `unknown scheme "mysql"`},
	} {
		_, err := Store(t.Context(), test.url, test.dataDir, sqlite.Options{})
		require.ErrorContains(t, err, test.want, test.url)
		require.Equal(t, fault.Operator, fault.ClassOf(err), test.url)
		require.NotContains(t, err.Error(), "hunter2", "a password stays secret")
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, url := range []string{"sqlite:", "sqlite:" + filepath.Join(dir, "other", "x.db"), "sqlite::memory:"} {
		s, err := Store(t.Context(), url, dir, sqlite.Options{})
		require.NoError(t, err, url)
		_, err = s.Submit(t.Context(), store.NewJob{Spec: jobs.Spec{Queue: "q"}})
		require.NoError(t, err, url)
		require.NoError(t, s.Close())
	}
	for _, file := range []string{filepath.Join(dir, FileName), filepath.Join(dir, "other", "x.db")} {
		_, err := os.Stat(file)
		require.NoError(t, err)
	}
}

func FuzzSQLitePath(f *testing.F) {
	for _, seed := range []string{"", "sqlite:", "sqlite:/a", "sqlite:///a/../..", "sqlite::memory:", "postgres://u:p@h/d", ":", "sqlite://"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		path, err := sqlitePath(url, "/data")
		if err != nil {
			require.Equal(t, fault.Operator, fault.ClassOf(err))
			require.Empty(t, path)
			return
		}
		require.True(t, path == sqlite.Memory || filepath.IsAbs(path), path)
	})
}
