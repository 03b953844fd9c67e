// Package open turns a database URL, the value of FRONTEND_DATABASE_URL, into an open store.
package open

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/sqlite"
)

// FileName is the SQLite file in the data directory.
const FileName = "executor.db"

// Store opens the store that a database URL names:
//
//	sqlite:            the file executor.db in dataDir; so does an empty URL
//	sqlite:/abs/path   that file; sqlite:///abs/path is the same
//	sqlite::memory:    a store that ends with the process
//
// Everything after the scheme is the path as it is: no escapes, no parameters. Other URLs are operator errors, which never show more of
// the URL than its scheme, because it may carry a password.
func Store(ctx context.Context, databaseURL, dataDir string, options sqlite.Options) (store.Store, error) {
	path, err := sqlitePath(databaseURL, dataDir)
	if err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, path, options)
}

func sqlitePath(databaseURL, dataDir string) (string, error) {
	if databaseURL == "" {
		databaseURL = "sqlite:"
	}
	scheme, path, found := strings.Cut(databaseURL, ":")
	if !found {
		return "", fault.Operatorf(`database URL has no scheme: write "sqlite:" before the path`)
	}
	switch scheme {
	case "sqlite":
	case "postgres", "postgresql":
		return "", fault.Operatorf(`database URL has scheme %q: this build keeps its queue in SQLite only; use "sqlite:" or "sqlite:/abs/path"`, scheme)
	default:
		return "", fault.Operatorf(`database URL has unknown scheme %q: use "sqlite:" or "sqlite:/abs/path"`, scheme)
	}
	switch {
	case path == sqlite.Memory:
		return path, nil
	case path == "" && dataDir == "":
		return "", fault.Operatorf(`database URL "sqlite:" stands for a file in the data directory, but none is set: use "sqlite:/abs/path"`)
	case path == "":
		return filepath.Join(dataDir, FileName), nil
	case strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///"):
		return "", fault.Operatorf(`database URL begins with "sqlite://", so a host would follow, and SQLite has none: use "sqlite:/abs/path"`)
	case !filepath.IsAbs(path) || strings.HasSuffix(path, "/"):
		return "", fault.Operatorf(`database URL must name a file by its absolute path: use "sqlite:/abs/path"`)
	}
	return filepath.Clean(path), nil
}
