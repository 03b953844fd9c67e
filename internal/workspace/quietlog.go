package workspace

import (
	"io"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/mask"
)

// quietLog leaves a text out of the output of commands. Git prints the address that it fetches from; without the unguessable
// part it is the one of the commands that the log shows, and of the reference.
type quietLog struct {
	command.Log
	masker *mask.Masker
}

func withoutPath(log command.Log, path string) command.Log {
	return quietLog{log, mask.New(map[string]string{path: ""})}
}

func (l quietLog) Open(key string, words []string) command.Entry {
	entry := l.Log.Open(key, words)
	return &quietEntry{entry, l.masker.Stream(entry.Stdout()), l.masker.Stream(entry.Stderr())}
}

type quietEntry struct {
	command.Entry
	stdout, stderr *mask.Stream
}

func (e *quietEntry) Stdout() io.Writer { return e.stdout }

func (e *quietEntry) Stderr() io.Writer { return e.stderr }

func (e *quietEntry) Close(exitCode int) {
	// The log's writers never fail.
	_, _ = e.stdout.Flush(), e.stderr.Flush()
	e.Entry.Close(exitCode)
}
