package microvm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm/channel"
)

// connectTime bounds the wait for an executor to answer on a machine's socket.
const connectTime = 10 * time.Second

// List returns the machines with a job, or kept after one, in a directory of machines (Options.Dir), by name. Directories of executors that died
// are not among them.
func List(dir string) ([]About, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.As(fault.Operator, err)
	}
	var found []About
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name(), aboutName))
		if err != nil {
			continue // it has no job yet, or is on its way out
		}
		var about About
		if err := json.Unmarshal(text, &about); err != nil || about.Name != entry.Name() {
			continue
		}
		conn, err := dial(context.Background(), filepath.Join(dir, about.Name))
		if err != nil {
			continue // nobody is there any more
		}
		_ = conn.Close()
		found = append(found, about)
	}
	return found, nil
}

// Connect connects to a machine of a directory of machines, by name. The client takes Program and PowerOff, which ends the machine.
func Connect(ctx context.Context, dir, name string) (*channel.Client, error) {
	if !validName.MatchString(name) {
		return nil, fault.Userf("%q is not the name of a microVM", name)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, connectTime, fmt.Errorf("its executor did not answer within %s", connectTime))
	defer cancel()
	conn, err := dial(ctx, filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Userf("there is no microVM %s with a job on this host; executor vm list shows those that there are", name)
	}
	if err != nil {
		return nil, fmt.Errorf("microVM %s: %w", name, err)
	}
	return channel.Connect(ctx, conn, channel.Timing{})
}
