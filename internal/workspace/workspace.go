// Package workspace prepares the directory in which a job runs: a clone of the repository, the job's files, and one script per
// container step. The repository is treated as hostile: nothing that it contains makes a write leave the workspace.
package workspace

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
)

// FileSource fetches the content of files that a job names by bucket and key. The caller closes the reader; it ends early with an
// error when the context ends.
type FileSource interface {
	OpenFile(ctx context.Context, bucket, key string) (io.ReadCloser, error)
}

// Options are the surroundings of a workspace.
type Options struct {
	// Log takes the setup entries. Required.
	Log command.Log
	// Runner runs git; nil for the zero Runner.
	Runner *command.Runner
	// Frontend is the frontend's base URL; its path is kept. Required for jobs with a repository.
	Frontend *url.URL
	// Password is the shared password, sent to the frontend for jobs without a token.
	Password string
	// ExecutorName is sent along with it.
	ExecutorName string
	// Transport reaches the frontend; nil for one like http.DefaultTransport.
	Transport http.RoundTripper
	// Files is required for jobs with remote files.
	Files FileSource
	// MaxFileSize bounds each remote file, in bytes; 0 for DefaultMaxFileSize.
	MaxFileSize int64
	// ParentDir is where the workspace goes; it is created when missing. Empty for $TMPDIR or the system's temporary directory.
	ParentDir string
	// Keep leaves the directory in place at the end, for debugging.
	Keep bool
	// Track, when set, is told the directory's path before that is made. The function that it returns is called once the
	// directory is gone, or is kept on purpose; never while something of it may be left behind.
	Track func(path string) (release func())
}

// DefaultMaxFileSize is the largest remote file, 1 GiB, unless Options say otherwise.
const DefaultMaxFileSize = 1 << 30

// Workspace is a prepared directory. Its methods must not be called concurrently.
type Workspace struct {
	// Dir is the absolute path. Only the executor's own user can enter it.
	Dir string
	// Scripts are the names of the scripts below runtime.ScriptsDir, one per docker step, in the steps' order.
	Scripts []string

	keep    bool
	release func()
}

// Prepare makes the job's workspace (spec sections 4.2.1 to 4.2.3). On error nothing is left behind. What is wrong with the job
// itself is a user error; the rest, the context's cause included, keeps its class.
func Prepare(ctx context.Context, job api.Job, options Options) (*Workspace, error) {
	if err := options.validate(job); err != nil {
		return nil, err
	}
	w, err := create(job, options)
	if err != nil {
		return nil, err
	}
	if err := w.fill(ctx, job, options); err != nil {
		return nil, errors.Join(err, w.discard(ctx))
	}
	return w, nil
}

func (o *Options) validate(job api.Job) error {
	if o.Log == nil {
		return errors.New("workspace: no log")
	}
	if o.Runner == nil {
		o.Runner = new(command.Runner)
	}
	o.MaxFileSize = cmp.Or(o.MaxFileSize, DefaultMaxFileSize)
	var err error
	if o.ParentDir, err = filepath.Abs(cmp.Or(o.ParentDir, os.TempDir())); err != nil {
		return parentFault(err)
	}
	if job.RepositoryName == "" {
		return nil
	}
	if o.Frontend == nil {
		return errors.New("workspace: no frontend to clone from")
	}
	return errors.Join(checkRepository(job.RepositoryName), checkCommit(job.Commit))
}

// create makes the empty directory.
func create(job api.Job, options Options) (*Workspace, error) {
	if err := os.MkdirAll(options.ParentDir, 0o777); err != nil {
		return nil, parentFault(err)
	}
	dir := filepath.Join(options.ParentDir, fmt.Sprintf("workspace-%d-%s", job.ID, rand.Text()))
	w := &Workspace{Dir: dir, keep: options.Keep, release: func() {}}
	if options.Track != nil {
		w.release = options.Track(dir)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.release()
		return nil, parentFault(err)
	}
	return w, nil
}

func parentFault(err error) error {
	return fault.Operatorf("making a workspace: %w; set TMPDIR to a directory that the executor can write to, or free space there", err)
}

func (w *Workspace) fill(ctx context.Context, job api.Job, options Options) error {
	tree, err := openTree(w.Dir)
	if err != nil {
		return err
	}
	defer tree.Close()
	if job.RepositoryName != "" {
		if err := clone(ctx, tree, job, options); err != nil {
			return err
		}
	}
	w.Scripts, err = writeExtras(ctx, tree, job, options)
	return err
}
