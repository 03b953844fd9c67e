// Package frontendconfig is the frontend's configuration: the table of its environment variables, the file of its
// repositories, and the typed, validated Config that Load makes of them.
package frontendconfig

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/c2h5oh/datasize"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/fault"
)

// MinExecutorToken is the least length of the shared executor token in characters.
const MinExecutorToken = 20

// Config is a valid configuration. It is plain data, to be read only. Printing it shows no secret.
type Config struct {
	// ListenAddr is host:port.
	ListenAddr string
	// DatabasePath is the absolute path of the SQLite file.
	DatabasePath string
	// DataDir is absolute; it may have to be made.
	DataDir string
	// LeaseTimeout is positive.
	LeaseTimeout time.Duration
	// MaxJobLog bounds the log of an attempt in bytes and is positive.
	MaxJobLog     int64
	ExecutorToken config.Secret[string]
	// APIToken is empty when the token kept in DataDir counts.
	APIToken config.Secret[string]
	// Repositories are those of the file FRONTEND_REPOSITORIES by name.
	Repositories map[string]Repository
	// ReposDir is absolute; empty for none.
	ReposDir string
}

// Load reads and checks the whole configuration, the repositories' file included. Its error is of class operator and names
// every bad variable; it shows no secret. The Config is zero on error.
func Load(env config.Lookup, host config.Host) (Config, error) {
	r := config.NewReader(table, env, nil)
	cfg := Config{
		ListenAddr:    r.String("FRONTEND_LISTEN_ADDR"),
		DataDir:       r.Optional("FRONTEND_DATA_DIR"),
		LeaseTimeout:  r.Duration("FRONTEND_LEASE_TIMEOUT"),
		ExecutorToken: config.NewSecret(r.String("FRONTEND_EXECUTOR_TOKEN")),
		APIToken:      config.NewSecret(r.Optional("FRONTEND_API_TOKEN")),
	}
	maxJobLog := config.Parsed(r, "FRONTEND_MAX_JOB_LOG", datasize.ParseString)
	rules := &ruleErrors{Reader: r}

	rules.about("FRONTEND_LISTEN_ADDR", config.CheckListenAddr(cfg.ListenAddr))
	var err error
	cfg.DataDir, err = dataDir(cfg.DataDir, env, host)
	rules.about("FRONTEND_DATA_DIR", err)
	cfg.DatabasePath, err = databasePath(r.Optional("FRONTEND_DATABASE_URL"), cfg.DataDir, host)
	rules.about("FRONTEND_DATABASE_URL", err)
	if cfg.LeaseTimeout <= 0 {
		rules.aboutf("FRONTEND_LEASE_TIMEOUT", "must be above 0, got %s", cfg.LeaseTimeout)
	}
	if cfg.MaxJobLog = int64(maxJobLog.Bytes()); cfg.MaxJobLog <= 0 {
		rules.aboutf("FRONTEND_MAX_JOB_LOG", "must be above 0 and below 8EB")
	}
	if length := utf8.RuneCountInString(cfg.ExecutorToken.Reveal()); length < MinExecutorToken {
		rules.aboutf("FRONTEND_EXECUTOR_TOKEN", "must have at least %d characters, has %d", MinExecutorToken, length)
	}
	rules.about("FRONTEND_EXECUTOR_TOKEN", config.CheckToken(cfg.ExecutorToken.Reveal()))
	rules.about("FRONTEND_API_TOKEN", config.CheckToken(cfg.APIToken.Reveal()))
	if path := r.Optional("FRONTEND_REPOSITORIES"); path != "" {
		cfg.Repositories, err = LoadRepositories(host.Abs(path))
		if err != nil {
			rules.aboutf("FRONTEND_REPOSITORIES", "names a file that can't be used: %w", err)
		}
	}
	if cfg.ReposDir = r.Optional("FRONTEND_REPOS_DIR"); cfg.ReposDir != "" {
		cfg.ReposDir = host.Abs(cfg.ReposDir)
	}

	if err := config.Join(append(r.Errors(), rules.errs...)); err != nil {
		return Config{}, fault.As(fault.Operator, err)
	}
	return cfg, nil
}

// ruleErrors collects what is wrong with values that could be read.
type ruleErrors struct {
	*config.Reader
	errs []error
}

// about adds an error about a variable. It is left out when the variable could not even be read.
func (r *ruleErrors) about(name string, err error) {
	if err != nil && !r.Failed(name) {
		r.errs = append(r.errs, fmt.Errorf("%s %w", name, err))
	}
}

func (r *ruleErrors) aboutf(name, format string, args ...any) {
	r.about(name, fmt.Errorf(format, args...))
}
