package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
)

// clone clones the job's repository through a proxy that lives as long as the git commands.
func clone(ctx context.Context, tree *tree, job api.Job, options Options) error {
	dir, ok := localPath(job.RepositoryDirectory)
	if !ok {
		return fault.Userf("repository directory %q is not a sub-directory of the workspace", job.RepositoryDirectory)
	}
	if err := tree.mkdirAll(dir); err != nil {
		return fmt.Errorf("making the repository directory: %w", err)
	}
	proxy, err := startProxy(ctx, job, options)
	if err != nil {
		return fmt.Errorf("starting the git proxy: %w", err)
	}
	defer proxy.Close()

	env := gitEnvironment(proxy.gitConfig())
	log := withoutPath(options.Log, proxy.path)
	for _, git := range gitCommands(filepath.Join(tree.root.Name(), dir), proxy.publicURL(), job) {
		spec := command.Spec{Key: git.key, Words: git.words, Env: env, Done: func(entry command.Entry, err error) error {
			reason := proxy.failure()
			switch {
			case err == nil:
			case ctx.Err() != nil:
				fmt.Fprintf(entry, "The command was stopped: %s.\n", context.Cause(ctx))
			case git.remote && reason != "":
				fmt.Fprintln(entry, reason)
			}
			return err
		}}
		if err := options.Runner.Run(ctx, log, spec); err != nil {
			return fmt.Errorf("failed %s: %w", git.key, err)
		}
	}
	return cleanFetchHead(tree, dir, proxy)
}

// gitCommand is one command of a clone; remote ones talk to the proxy.
type gitCommand struct {
	key    string
	words  []string
	remote bool
}

// gitCommands are the commands of spec section 4.2.1.
func gitCommands(repo, url string, job api.Job) []gitCommand {
	in := func(words ...string) []string { return append([]string{"git", "-C", repo}, words...) }
	sparse := len(job.SparseCheckout) > 0

	fetch := in("-c", "protocol.version=2", "fetch", "--progress", "--no-recurse-submodules")
	if job.FetchTags {
		fetch = append(fetch, "--tags")
	}
	if job.ShallowClone {
		if !job.FetchTags {
			fetch = append(fetch, "--no-tags")
		}
		fetch = append(fetch, "--depth=1")
	}
	if sparse {
		fetch = append(fetch, "--filter=blob:none")
	}
	commands := []gitCommand{
		{key: "setup.git.init", words: in("init")},
		{key: "setup.git.add-remote", words: in("remote", "add", "origin", url)},
		{key: "setup.git.disable-gc", words: in("config", "--local", "gc.auto", "0")},
		{key: "setup.git.fetch", words: append(fetch, "origin", job.Commit), remote: true},
	}
	checkout := in("checkout", "--progress", "--force", job.Commit)
	if sparse {
		set := in("sparse-checkout", "set", "--no-cone", "--")
		commands = append(commands,
			gitCommand{key: "setup.git.sparse-checkout-config", words: in("config", "--local", "core.sparseCheckout", "1")},
			gitCommand{key: "setup.git.sparse-checkout-set", words: append(set, job.SparseCheckout...)},
		)
		checkout = in("-c", "protocol.version=2", "checkout", "--progress", "--force", job.Commit)
	}
	return append(commands,
		gitCommand{key: "setup.git.checkout", words: checkout, remote: sparse},
		gitCommand{key: "setup.git.set-remote", words: in("remote", "set-url", "origin", job.RepositoryName)},
	)
}

// gitEnvironment keeps git to what it is told here: no configuration, hooks or templates of this host, and of all protocols only
// the one to the proxy. Extra configuration goes through the environment: other users see command lines, but not this.
func gitEnvironment(extra [][2]string) []string {
	config := append([][2]string{
		{"core.fsmonitor", "false"},
		{"core.hooksPath", os.DevNull},
		// Named so that git gives no advice on it.
		{"init.defaultBranch", "master"},
		{"protocol.allow", "never"},
		{"protocol.http.allow", "always"},
		// The host's proxy is not for the loopback interface.
		{"http.proxy", ""},
		// The temporary directory may be on a file system that maps users.
		{"safe.directory", "*"},
	}, extra...)
	env := []string{
		"GIT_TERMINAL_PROMPT=0",
		"GIT_LFS_SKIP_SMUDGE=1",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_TEMPLATE_DIR=",
		fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(config)),
	}
	for i, pair := range config {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, pair[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, pair[1]))
	}
	return env
}

// maxFetchHead bounds what is read of FETCH_HEAD, which has a line per fetched tag.
const maxFetchHead = 64 << 20

// cleanFetchHead takes the proxy's address out of the one file of a clone that still has it.
func cleanFetchHead(tree *tree, dir string, proxy *gitProxy) error {
	path := filepath.Join(dir, ".git", "FETCH_HEAD")
	content, err := tree.read(path, maxFetchHead)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading FETCH_HEAD: %w", err)
	}
	clean := strings.ReplaceAll(string(content), proxy.address+proxy.path, "")
	return tree.write(path, strings.NewReader(clean), time.Time{})
}
