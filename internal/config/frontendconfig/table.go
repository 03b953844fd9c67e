package frontendconfig

import (
	"slices"

	"github.com/open-executor/executor/internal/config"
)

// table is the single source for parsing, `serve --help` and docs/configuration.md.
var table = config.Table{
	Variables: slices.Concat(
		config.InSection("Server",
			config.Variable{
				Name: "FRONTEND_LISTEN_ADDR", Kind: config.String, Default: "127.0.0.1:7080",
				Description: "Address to listen on: `host:port`, or `:port` for all addresses of the machine. Port 0 takes any free one.",
			},
			config.Variable{
				Name: "FRONTEND_DATABASE_URL", Kind: config.Optional, Secret: true, DefaultText: "`sqlite:`, the file `frontend.db` in the data directory",
				Description: "Where jobs are kept: `sqlite:` followed by the path of a file, `sqlite:/var/lib/jobs.db` for example. A relative path begins at the working directory.",
			},
			config.Variable{
				Name: "FRONTEND_DATA_DIR", Kind: config.Optional, DefaultText: "`$XDG_DATA_HOME/open-executor`, else `$HOME/.local/share/open-executor`; `/var/lib/open-executor` for root",
				Description: "Directory, made when missing, for the database and the token of the jobs API.",
			},
			config.Variable{
				Name: "FRONTEND_LEASE_TIMEOUT", Kind: config.Duration, Default: "25s",
				Description: "How long after the last heartbeat of its executor a job counts as lost and is given to another one. Executors send a heartbeat every 5s, so values near that lose jobs that still run.",
			},
			config.Variable{
				Name: "FRONTEND_MAX_JOB_LOG", Kind: config.Size, Default: "1GB",
				Description: "Most log bytes that are kept of one attempt of a job: a number with a unit, such as `200MB` (powers of 1024).",
			},
		),
		config.InSection("Tokens",
			config.Variable{
				Name: "FRONTEND_EXECUTOR_TOKEN", Kind: config.String, Required: true, Secret: true,
				Description: "The shared token that executors show, their `EXECUTOR_FRONTEND_PASSWORD`. At least 20 characters without white space; `openssl rand -hex 32` makes a good one.",
			},
			config.Variable{
				Name: "FRONTEND_API_TOKEN", Kind: config.Optional, Secret: true, DefaultText: "made at the first start and kept in the data directory, mode 0600",
				Description: "The bearer token of the jobs API.",
			},
		),
		config.InSection("Repositories",
			config.Variable{
				Name: "FRONTEND_REPOSITORIES", Kind: config.Optional,
				Description: "YAML file that maps names of repositories to local paths or https URLs, described below. Empty: none.",
			},
			config.Variable{
				Name: "FRONTEND_REPOS_DIR", Kind: config.Optional,
				Description: "Directory whose repositories, bare or with a work tree, are served by their path relative to it. Names in `FRONTEND_REPOSITORIES` come first. Empty: none.",
			},
		),
	),
	Also: []config.Also{
		{
			Names:       []string{"XDG_DATA_HOME", "HOME"},
			Description: "Where the data directory is by default.",
		},
		{
			Names:       []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"},
			Description: "Used for requests to remote repositories.",
		},
		{
			Names:       []string{"SRC_LOG_LEVEL", "SRC_LOG_FORMAT", "SRC_LOG_SCOPE_LEVEL", "SRC_LOG_SAMPLING_INITIAL", "SRC_LOG_SAMPLING_THEREAFTER", "SRC_DEVELOPMENT"},
			Description: "Logging, as for the executor.",
		},
	},
}

// Variables returns the frontend's variables in the order of the documentation.
func Variables() []config.Variable { return slices.Clone(table.Variables) }

// HelpText describes all variables for `frontend serve --help`.
func HelpText() string { return table.HelpText() }

// Markdown describes all variables in tables whose headings have the given level.
func Markdown(level int) string { return table.Markdown(level) }
