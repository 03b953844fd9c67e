package owner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
)

// Record says who an executor is and where it makes things. It is the first line of its journal.
type Record struct {
	// Executor is the executor's name, unique per process.
	Executor string `json:"executor"`
	// Engine names the runtime that holds further things under this executor's label ("docker"); empty when there are none.
	Engine string `json:"engine,omitempty"`
	// Parents are the absolute directories right below which tracked directories lie. Nothing else is ever removed.
	Parents []string `json:"parents"`
}

func (r Record) encode() ([]byte, error) {
	for _, parent := range r.Parents {
		if !filepath.IsAbs(parent) {
			return nil, fmt.Errorf("parent directory %q of executor %s is not absolute", parent, r.Executor)
		}
	}
	line, err := json.Marshal(r)
	return append(line, '\n'), err
}

// holds reports whether path lies right below one of the record's parents.
func (r Record) holds(path string) bool {
	return filepath.Clean(path) == path && slices.ContainsFunc(r.Parents, func(parent string) bool {
		return filepath.Clean(parent) == filepath.Dir(path) && path != filepath.Dir(path)
	})
}

// entry is a line after the first: exactly one member is set.
type entry struct {
	Track   string `json:"track,omitempty"`
	Release string `json:"release,omitempty"`
}

func (e entry) encode() []byte {
	line, _ := json.Marshal(e) // two strings always encode
	return append(line, '\n')
}

// parseJournal returns a journal's record and the paths still tracked, in the order in which they were. Torn lines, which an
// executor leaves when it dies or its disk is full, count as not written.
func parseJournal(journal []byte) (Record, []string, error) {
	head, rest, complete := bytes.Cut(journal, []byte("\n"))
	var record Record
	if err := json.Unmarshal(head, &record); err != nil || !complete {
		return Record{}, nil, fmt.Errorf("owner record has no readable first line: %q", head[:min(len(head), 100)])
	}
	var tracked []string
	for line := range bytes.Lines(rest) {
		var e entry
		if json.Unmarshal(line, &e) != nil || !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		if e.Release != "" {
			tracked = slices.DeleteFunc(tracked, func(path string) bool { return path == e.Release })
		}
		if e.Track != "" && !slices.Contains(tracked, e.Track) {
			tracked = append(tracked, e.Track)
		}
	}
	return record, tracked, nil
}
