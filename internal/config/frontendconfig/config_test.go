package frontendconfig_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/frontendconfig"
	"github.com/open-executor/executor/internal/fault"
)

const token = "hunter2-hunter2-hunter2"

var (
	user = config.Host{OS: "linux", Arch: "amd64", WorkDir: "/wd", UID: 1000}
	root = config.Host{OS: "linux", Arch: "amd64", WorkDir: "/wd"}
)

// with adds variables to the least environment that loads.
func with(extra map[string]string) map[string]string {
	env := map[string]string{"FRONTEND_EXECUTOR_TOKEN": token, "HOME": "/home/me"}
	maps.Copy(env, extra)
	return env
}

func lookup(env map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func load(t *testing.T, env map[string]string, host config.Host) frontendconfig.Config {
	t.Helper()
	cfg, err := frontendconfig.Load(lookup(env), host)
	require.NoError(t, err)
	return cfg
}

func loadError(t *testing.T, env map[string]string) string {
	t.Helper()
	cfg, err := frontendconfig.Load(lookup(env), user)
	require.Error(t, err)
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	require.Equal(t, frontendconfig.Config{}, cfg)
	return err.Error()
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	require.Equal(t, frontendconfig.Config{
		ListenAddr:    "127.0.0.1:7080",
		DatabasePath:  "/home/me/.local/share/open-executor/frontend.db",
		DataDir:       "/home/me/.local/share/open-executor",
		LeaseTimeout:  25 * time.Second,
		MaxJobLog:     1 << 30,
		ExecutorToken: config.NewSecret(token),
	}, load(t, with(nil), user))
}

func TestDataDir(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  map[string]string
		host config.Host
		want string
	}{
		"XDG":          {map[string]string{"XDG_DATA_HOME": "/xdg"}, user, "/xdg/open-executor"},
		"relative XDG": {map[string]string{"XDG_DATA_HOME": "xdg"}, user, "/home/me/.local/share/open-executor"},
		"root":         {map[string]string{"XDG_DATA_HOME": "/xdg"}, root, "/var/lib/open-executor"},
		"given":        {map[string]string{"FRONTEND_DATA_DIR": "/data/"}, root, "/data"},
		"relative":     {map[string]string{"FRONTEND_DATA_DIR": "data"}, user, "/wd/data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := load(t, with(test.env), test.host)
			require.Equal(t, test.want, cfg.DataDir)
			require.Equal(t, filepath.Join(test.want, "frontend.db"), cfg.DatabasePath)
		})
	}
	require.Contains(t, loadError(t, map[string]string{"FRONTEND_EXECUTOR_TOKEN": token}), "FRONTEND_DATA_DIR is not set and there is no home directory")
}

func TestGoodValues(t *testing.T) {
	t.Parallel()
	repositories := filepath.Join(t.TempDir(), "repositories.yaml")
	require.NoError(t, os.WriteFile(repositories, []byte("a/b: /srv/b\n"), 0o600))
	type cfg = frontendconfig.Config
	tested := map[string]bool{}
	for _, test := range []struct {
		variable, value string
		change          func(*cfg)
	}{
		{"FRONTEND_LISTEN_ADDR", ":0", func(c *cfg) { c.ListenAddr = ":0" }},
		{"FRONTEND_DATABASE_URL", "", func(*cfg) {}},
		{"FRONTEND_DATABASE_URL", "sqlite:", func(*cfg) {}},
		{"FRONTEND_DATABASE_URL", "sqlite:/db/jobs.db", func(c *cfg) { c.DatabasePath = "/db/jobs.db" }},
		{"FRONTEND_DATABASE_URL", "sqlite:///db/jobs.db", func(c *cfg) { c.DatabasePath = "/db/jobs.db" }},
		{"FRONTEND_DATABASE_URL", "SQLite:jobs.db", func(c *cfg) { c.DatabasePath = "/wd/jobs.db" }},
		{"FRONTEND_DATA_DIR", "", func(*cfg) {}},
		{"FRONTEND_LEASE_TIMEOUT", "2m", func(c *cfg) { c.LeaseTimeout = 2 * time.Minute }},
		{"FRONTEND_MAX_JOB_LOG", "200MB", func(c *cfg) { c.MaxJobLog = 200 << 20 }},
		{"FRONTEND_EXECUTOR_TOKEN", "12345678901234567890", func(c *cfg) { c.ExecutorToken = config.NewSecret("12345678901234567890") }},
		{"FRONTEND_EXECUTOR_TOKEN", strings.Repeat("ä", 20), func(c *cfg) { c.ExecutorToken = config.NewSecret(strings.Repeat("ä", 20)) }},
		{"FRONTEND_API_TOKEN", "api", func(c *cfg) { c.APIToken = config.NewSecret("api") }},
		{"FRONTEND_REPOSITORIES", repositories, func(c *cfg) { c.Repositories = map[string]frontendconfig.Repository{"a/b": {Path: "/srv/b"}} }},
		{"FRONTEND_REPOS_DIR", "git", func(c *cfg) { c.ReposDir = "/wd/git" }},
	} {
		tested[test.variable] = true
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			t.Parallel()
			want := load(t, with(nil), user)
			test.change(&want)
			require.Equal(t, want, load(t, with(map[string]string{test.variable: test.value}), user))
		})
	}
	for _, variable := range frontendconfig.Variables() {
		require.True(t, tested[variable.Name], "no good value of %s is tested", variable.Name)
	}
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "repositories.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("a: /srv/a\nb: [c]\n"), 0o600))
	for _, test := range []struct{ variable, value, want string }{
		{"FRONTEND_LISTEN_ADDR", "", `invalid value "" for FRONTEND_LISTEN_ADDR: no value supplied`},
		{"FRONTEND_LISTEN_ADDR", "7080", "FRONTEND_LISTEN_ADDR must have the form host:port"},
		{"FRONTEND_DATABASE_URL", "postgres://me:secret@db/jobs", "FRONTEND_DATABASE_URL names a PostgreSQL database, which this version does not support yet: use sqlite:"},
		{"FRONTEND_DATABASE_URL", "postgresql://db", "FRONTEND_DATABASE_URL names a PostgreSQL database"},
		{"FRONTEND_DATABASE_URL", "mysql://me:secret@db", "FRONTEND_DATABASE_URL names a kind of database that is not supported"},
		{"FRONTEND_DATABASE_URL", "/db/jobs.db", "FRONTEND_DATABASE_URL is no URL"},
		{"FRONTEND_DATABASE_URL", "sqlite:jobs.db?mode=ro", "FRONTEND_DATABASE_URL has parameters"},
		{"FRONTEND_DATABASE_URL", "sqlite::memory:", "FRONTEND_DATABASE_URL names a database in memory"},
		{"FRONTEND_DATABASE_URL", "sqlite:/db/", "FRONTEND_DATABASE_URL names a directory"},
		{"FRONTEND_LEASE_TIMEOUT", "25", `invalid duration "25" for FRONTEND_LEASE_TIMEOUT`},
		{"FRONTEND_LEASE_TIMEOUT", "0", "FRONTEND_LEASE_TIMEOUT must be above 0, got 0s"},
		{"FRONTEND_MAX_JOB_LOG", "", `invalid value "" for FRONTEND_MAX_JOB_LOG: no value supplied`},
		{"FRONTEND_MAX_JOB_LOG", "big", `invalid size "big" for FRONTEND_MAX_JOB_LOG`},
		{"FRONTEND_MAX_JOB_LOG", "0", "FRONTEND_MAX_JOB_LOG must be above 0"},
		{"FRONTEND_MAX_JOB_LOG", "15EB", "FRONTEND_MAX_JOB_LOG must be above 0 and below 8EB"},
		{"FRONTEND_EXECUTOR_TOKEN", "", `invalid value "" for FRONTEND_EXECUTOR_TOKEN: no value supplied`},
		{"FRONTEND_EXECUTOR_TOKEN", "1234567890123456789", "FRONTEND_EXECUTOR_TOKEN must have at least 20 characters, has 19"},
		{"FRONTEND_EXECUTOR_TOKEN", token + "\n", "FRONTEND_EXECUTOR_TOKEN must not begin or end with white space"},
		{"FRONTEND_API_TOKEN", "a b", "FRONTEND_API_TOKEN must not hold white space"},
		{"FRONTEND_REPOSITORIES", "/nowhere/r.yaml", "FRONTEND_REPOSITORIES names a file that can't be used: open /nowhere/r.yaml"},
		{"FRONTEND_REPOSITORIES", broken, "FRONTEND_REPOSITORIES names a file that can't be used: " + broken + ": repository b: line 2: want a mapping, got a list"},
	} {
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			t.Parallel()
			got := loadError(t, with(map[string]string{test.variable: test.value}))
			require.True(t, strings.HasPrefix(got, test.want), got)
		})
	}
}

func TestErrorsAreCollectedInOrder(t *testing.T) {
	t.Parallel()
	text := loadError(t, map[string]string{
		"FRONTEND_LISTEN_ADDR": "x", "FRONTEND_LEASE_TIMEOUT": "x", "FRONTEND_DATABASE_URL": "postgres://db", "HOME": "/h", "FRONTEND_API_TOKEN": " ",
	})
	var beginnings []string
	for line := range strings.SplitSeq(text, "\n") {
		beginnings = append(beginnings, strings.Join(strings.Fields(line)[:3], " "))
	}
	require.Equal(t, []string{
		"5 errors occurred:", "* invalid duration", "* invalid value", "* FRONTEND_LISTEN_ADDR must", "* FRONTEND_DATABASE_URL names", "* FRONTEND_API_TOKEN must",
	}, beginnings)
}

func TestErrorsNeverShowSecrets(t *testing.T) {
	t.Parallel()
	secrets := 0
	for _, variable := range frontendconfig.Variables() {
		if !variable.Secret {
			continue
		}
		secrets++
		for _, value := range []string{"hunter2", "hunter2\n", "hunter2 hunter2", "hunter2://hunter2", "postgres://hunter2:hunter2@hunter2/hunter2", "sqlite:hunter2?key=hunter2", "\x00hunter2"} {
			text := loadError(t, with(map[string]string{variable.Name: value, "FRONTEND_LISTEN_ADDR": "x"}))
			require.NotContains(t, text, "hunter2", variable.Name)
		}
	}
	require.Equal(t, 3, secrets)
}

func TestEveryVariableIsReadAndDescribed(t *testing.T) {
	t.Parallel()
	read := map[string]bool{}
	_, err := frontendconfig.Load(func(name string) (string, bool) {
		read[name] = true
		value, ok := with(nil)[name]
		return value, ok
	}, user)
	require.NoError(t, err)
	help, markdown := frontendconfig.HelpText(), frontendconfig.Markdown(2)
	for _, name := range []string{"HOME", "XDG_DATA_HOME"} {
		require.Contains(t, markdown, "`"+name+"`")
		delete(read, name)
	}
	for _, variable := range frontendconfig.Variables() {
		require.True(t, read[variable.Name], "%s is not read", variable.Name)
		require.Contains(t, markdown, "\n| `"+variable.Name+"` | ")
		require.Contains(t, help, "\n  "+variable.Name+" (")
		require.NotEmpty(t, variable.Description, variable.Name)
		delete(read, variable.Name)
	}
	require.Empty(t, read, "read, but not in the table")
}
