package docker

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/command"
)

// Exit codes of "docker run" that may be docker's own instead of the step's.
const (
	codeRefused       = 125
	codeNotExecutable = 126
	codeNotFound      = 127
	codeKilled        = 137
)

// lateEvent is how long after a container's end the engine may still tell that it ran out of memory.
const lateEvent = 300 * time.Millisecond

// diagnose returns the sentence that explains an exit code that the step didn't choose itself, "" for one that it did. What the
// client printed is hearsay, since the step prints on the same stream, so the engine is asked as well: a container that died
// did so with its step's own exit code.
func (c *containerRun) diagnose(ctx context.Context, code int) string {
	told, err := c.story(ctx, code)
	if told.outOfMemory {
		if code == codeKilled {
			return fmt.Sprintf("The step was killed: out of memory (%s).", c.memoryLimit())
		}
		return fmt.Sprintf("A process of the step was killed: out of memory (%s).", c.memoryLimit())
	}
	said, pulling := c.heard.refusal()
	switch {
	case code == codeKilled:
		return fmt.Sprintf("Exit code 137 means SIGKILL, and nobody stopped the step: lack of memory is the likely cause (%s).", c.memoryLimit())
	case code < 0:
		return "The docker client of the step was killed by a signal."
	case code == codeNotFound && c.heard.initFailure():
		return c.noShell()
	case code == codeNotExecutable && c.heard.initFailure():
		return c.badShell()
	case told.died || said == "":
		return ""
	case code == codeRefused && pulling && !told.started:
		return fmt.Sprintf("The step did not start: image %s could not be pulled: %s.", c.image, said)
	case code == codeRefused && (told.started || err != nil):
		return fmt.Sprintf("The step was lost: the Docker engine failed: %s.", said)
	case code == codeRefused:
		return fmt.Sprintf("The step did not start: the Docker engine refused it: %s.", said)
	case code == codeNotExecutable:
		return c.badShell()
	case code == codeNotFound:
		return c.noShell()
	}
	return ""
}

func (c *containerRun) noShell() string {
	return fmt.Sprintf("The step did not start: image %s has no /bin/sh.", c.image)
}

func (c *containerRun) badShell() string {
	return fmt.Sprintf("The step did not start: /bin/sh of image %s can't be executed.", c.image)
}

// story asks twice when a container was killed by nobody known.
func (c *containerRun) story(ctx context.Context, code int) (story, error) {
	engine := c.session.runtime.engine
	told, err := engine.story(ctx, c.name, c.started)
	if err != nil || told.outOfMemory || code != codeKilled {
		return told, err
	}
	timer := time.NewTimer(lateEvent)
	defer timer.Stop()
	<-timer.C
	return engine.story(ctx, c.name, c.started)
}

func (c *containerRun) memoryLimit() string {
	if c.session.options.limitsMemory() {
		return "limit " + c.session.options.Memory
	}
	return "no limit is set, so the machine has none left"
}

// heard keeps the beginning and the end of what came on standard error. Safe for concurrent use.
type heard struct {
	mu         sync.Mutex
	head, tail []byte
}

const (
	headBytes = 1 << 10
	tailBytes = 8 << 10
)

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head = append(h.head, p[:min(len(p), headBytes-len(h.head))]...)
	h.tail = append(h.tail, p[max(0, len(p)-tailBytes):]...)
	if excess := len(h.tail) - tailBytes; excess > 0 {
		h.tail = append(h.tail[:0], h.tail[excess:]...)
	}
	return len(p), nil
}

// refusal is the client's message when it ended with one, and whether it had begun to pull the image.
func (h *heard) refusal() (said string, pulling bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	tail := "\n" + string(h.tail)
	at := strings.LastIndex(tail, "\ndocker: ")
	if at < 0 {
		return "", false
	}
	return message(tail[at:]), strings.HasPrefix(string(h.head), "Unable to find image ")
}

// initFailed is what docker-init prints when it can't start the program.
var initFailed = regexp.MustCompile(`(?m)^\[FATAL tini \(\d+\)\] exec /bin/sh failed: `)

func (h *heard) initFailure() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return initFailed.Match(h.tail)
}

// listener is a command.Log that also hears what its entries get on standard error.
type listener struct {
	command.Log
	heard *heard
}

func (l *listener) Open(key string, words []string) command.Entry {
	return &listeningEntry{Entry: l.Log.Open(key, words), heard: l.heard}
}

type listeningEntry struct {
	command.Entry
	heard *heard
}

func (e *listeningEntry) Stderr() io.Writer { return io.MultiWriter(e.heard, e.Entry.Stderr()) }
