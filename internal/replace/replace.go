// Package replace writes files so that what had their names before is replaced at once or not at all.
package replace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/open-executor/executor/internal/fault"
)

// File writes a file under another name beside it first; its bytes are on the disk before it gets its own. A directory in which no file can be made is
// an operator error. On error nothing is left behind.
func File(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".making-*")
	if err != nil {
		return fault.As(fault.Operator, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	out := bufio.NewWriterSize(file, 1<<20)
	if err := errors.Join(write(out), out.Flush(), file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(file.Name(), path)
}
