package frontendconfig

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/fault"
)

// DataDir is where a frontend with this environment keeps its data (FRONTEND_DATA_DIR and its default), for programs beside it.
func DataDir(env config.Lookup, host config.Host) (string, error) {
	given, _ := env("FRONTEND_DATA_DIR")
	dir, err := dataDir(given, env, host)
	if err != nil {
		return "", fault.Operatorf("FRONTEND_DATA_DIR: %w", err)
	}
	return dir, nil
}

// dataDir makes the directory absolute, or finds the default one: /var/lib for root, the XDG data home for others.
func dataDir(given string, env config.Lookup, host config.Host) (string, error) {
	if given != "" {
		return host.Abs(given), nil
	}
	if host.UID == 0 {
		return "/var/lib/open-executor", nil
	}
	// The XDG specification says that a relative XDG_DATA_HOME counts as unset.
	if home, _ := env("XDG_DATA_HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, "open-executor"), nil
	}
	if home, _ := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "open-executor"), nil
	}
	return "", errors.New("is not set and there is no home directory to find a default in: set it to a directory to keep jobs in")
}

// databasePath finds the SQLite file. Errors name at most the URL's scheme: the rest may hold a password.
func databasePath(raw, dataDir string, host config.Host) (string, error) {
	const now = "use sqlite: followed by the path of a file, or leave it unset"
	if raw == "" {
		raw = "sqlite:"
	}
	scheme, path, ok := strings.Cut(raw, ":")
	if !ok {
		return "", errors.New("is no URL: " + now)
	}
	switch strings.ToLower(scheme) {
	case "sqlite":
	case "postgres", "postgresql":
		return "", errors.New("names a PostgreSQL database, which this version does not support yet: " + now)
	default:
		return "", errors.New("names a kind of database that is not supported: " + now)
	}
	path = strings.TrimPrefix(path, "//")
	switch {
	case path == "":
		return filepath.Join(dataDir, "frontend.db"), nil
	case strings.ContainsAny(path, "?#"):
		return "", errors.New("has parameters, and sqlite: takes none: " + now)
	case path == ":memory:":
		return "", errors.New("names a database in memory, which would lose every job: " + now)
	case strings.HasSuffix(path, "/"):
		return "", errors.New("names a directory: " + now)
	}
	return host.Abs(path), nil
}
