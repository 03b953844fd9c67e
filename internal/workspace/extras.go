package workspace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

// writeExtras writes the job's files in the order of their paths, then one script per docker step in order, as one log entry.
// It returns the scripts' names.
func writeExtras(ctx context.Context, tree *tree, job api.Job, options Options) ([]string, error) {
	// The repository may have something else of that name.
	if err := tree.forceDir(runtime.ScriptsDir); err != nil {
		return nil, fmt.Errorf("making %s: %w", runtime.ScriptsDir, err)
	}
	if len(job.Files) == 0 && len(job.DockerSteps) == 0 {
		return nil, nil
	}
	entry := options.Log.Open("setup.fs.extras", nil)
	w := extrasWriter{tree, entry, options}
	scripts, err := w.writeAll(ctx, job)
	if err != nil {
		fmt.Fprintf(entry, "%s\n", err)
		entry.Close(1)
		return nil, err
	}
	entry.Close(0)
	return scripts, nil
}

type extrasWriter struct {
	tree    *tree
	entry   command.Entry
	options Options
}

func (w extrasWriter) writeAll(ctx context.Context, job api.Job) ([]string, error) {
	written := make(map[string]string, len(job.Files))
	for _, path := range slices.Sorted(maps.Keys(job.Files)) {
		local, ok := localPath(path)
		if !ok {
			return nil, fault.Userf("%s: file path %q", outside, path)
		}
		if other, ok := written[local]; ok {
			return nil, fault.Userf("file paths %q and %q are the same", other, path)
		}
		written[local] = path
		if err := w.writeFile(ctx, local, job.Files[path]); err != nil {
			return nil, fmt.Errorf("writing file %q: %w", path, err)
		}
	}
	var scripts []string
	for i, step := range job.DockerSteps {
		name := scriptName(job, i)
		if err := w.write(filepath.Join(runtime.ScriptsDir, name), strings.NewReader(script(step)), time.Time{}); err != nil {
			return nil, fmt.Errorf("writing the script of step %d: %w", i, err)
		}
		scripts = append(scripts, name)
	}
	return scripts, nil
}

func (w extrasWriter) writeFile(ctx context.Context, local string, file api.File) error {
	if !file.Remote() {
		return w.write(local, bytes.NewReader(file.Content), file.ModifiedAt)
	}
	if w.options.Files == nil {
		return fault.Infrastructuref("this executor has no source of remote files")
	}
	content, err := w.options.Files.OpenFile(ctx, file.Bucket, file.Key)
	if err != nil {
		return fmt.Errorf("fetching it from the frontend (bucket %q, key %q): %w", file.Bucket, file.Key, err)
	}
	defer content.Close()
	return w.write(local, &boundedReader{reader: content, left: w.options.MaxFileSize, limit: w.options.MaxFileSize}, file.ModifiedAt)
}

func (w extrasWriter) write(local string, content io.Reader, modTime time.Time) error {
	started := time.Now()
	if err := w.tree.write(local, content, modTime); err != nil {
		return err
	}
	fmt.Fprintf(w.entry, "Wrote %s in %s\n", filepath.Join(w.tree.root.Name(), local), time.Since(started))
	return nil
}

// boundedReader fails when there is more than limit bytes.
type boundedReader struct {
	reader      io.Reader
	left, limit int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fault.Userf("it is larger than %d bytes", b.limit)
	}
	return n, err
}
