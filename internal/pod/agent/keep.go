package agent

import (
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/vm/channel"
)

// maxNames bounds how many things are kept.
const maxNames = 8

// keep is what executors leave for those who come after them. It is in memory alone: there are secrets in it, and the workspace's disk is the steps'.
type keep struct {
	mu      sync.Mutex
	content map[string][]byte
}

func (k *keep) put(name string, from io.Reader) error {
	content, err := io.ReadAll(io.LimitReader(from, pod.MaxKept+1))
	if err != nil {
		return err
	}
	if len(content) > pod.MaxKept {
		return fmt.Errorf("more than %d bytes to keep as %q", pod.MaxKept, name)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.content[name]; !known && len(k.content) >= maxNames {
		return fmt.Errorf("%d things are kept already", maxNames)
	}
	k.content[name] = content
	return nil
}

func (k *keep) send(name string, to io.Writer) error {
	k.mu.Lock()
	content, known := k.content[name]
	k.mu.Unlock()
	if !known {
		return fmt.Errorf("nothing is kept as %q: %w", name, fs.ErrNotExist)
	}
	_, err := to.Write(content)
	return err
}

// maxRemembered bounds the files that are remembered, in bytes.
const maxRemembered = 8 << 20

// answers are what was taken from the workspace, for the one who asks again: a file is there only once.
type answers struct {
	mu    sync.Mutex
	given map[question]answer
	size  int
}

type question struct {
	number int
	path   string
}

type answer struct {
	content []byte
	err     error
}

// get is the first answer to a question.
func (s *answers) get(t channel.Take, take func() ([]byte, error)) ([]byte, error) {
	if t.Number <= 0 {
		return take()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := question{t.Number, t.Path}
	if known, found := s.given[asked]; found {
		return known.content, known.err
	}
	if s.size+int(min(t.Limit, maxRemembered))+len(t.Path) > maxRemembered {
		return nil, fmt.Errorf("%s is not taken: %d bytes of files are remembered already", t.Path, s.size)
	}
	content, err := take()
	s.given[asked] = answer{content, err}
	s.size += len(content) + len(t.Path)
	return content, err
}
