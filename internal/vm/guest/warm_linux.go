package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/vm/channel"
)

// practice is a container that does next to nothing. Its program is one that the guest's own root is sure to have.
var practice = channel.Container{Args: []string{"crun", "--version"}, Env: []string{"PATH=" + searchPath}, Dir: dataDir, Memory: 64 << 20, Pids: 100}

// maxPractice bounds the archive to practise on, in bytes.
const maxPractice = 1 << 20

// rounds is how often it is run: without KVM a few are needed until the translation of all the code on the way is at hand.
const rounds = 3

// warm runs practice as a step, so that what a step needs is read, translated and in the caches when the first one comes.
func (a *Agent) warm(ctx context.Context, archive io.Reader) error {
	packed, err := io.ReadAll(io.LimitReader(archive, maxPractice))
	if err != nil {
		return err
	}
	for range rounds {
		if err := a.practiseUnpacking(packed); err != nil {
			return err
		}
		s, err := a.takeStandby()
		if err != nil {
			return err
		}
		result, err := a.runFrom(ctx, s, ownRoot, practice, channel.Exchange{Stdout: io.Discard, Stderr: io.Discard})
		if err != nil {
			return err
		}
		if result.ExitCode != 0 {
			return fmt.Errorf("practice ended with exit code %d", result.ExitCode)
		}
	}
	a.stock()
	a.waiting.Lock()
	defer a.waiting.Unlock()
	if a.standby == nil {
		return errors.New("no container could be made to wait")
	}
	return a.standby.ready()
}

func (a *Agent) practiseUnpacking(archive []byte) error {
	_, scratch := a.places()
	dir := filepath.Join(scratch, a.name("practice"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(jobtree.Unpack(dir, bytes.NewReader(archive)), os.RemoveAll(dir))
}
