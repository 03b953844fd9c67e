// Package event writes what a batch change's server reads from a job's log: one JSON object a line (spec section 9).
package event

import (
	"encoding/json"
	"io"
	"time"

	"github.com/open-executor/executor/internal/batches"
)

// timeLayout is RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// Log writes events. It isn't for several goroutines at once.
type Log struct {
	out io.Writer
	now func() time.Time
}

// NewLog makes a log on out with the clock now.
func NewLog(out io.Writer, now func() time.Time) *Log { return &Log{out, now} }

// The numbers of steps in events follow the wire, which has both kinds: from 1 when a step starts or is skipped, from 0 when it has ended.
// The functions below take all indices from 0.

// Skipped tells that a step's condition was false.
func (l *Log) Skipped(index int) error {
	return l.write("TASK_STEP_SKIPPED", "PROGRESS", struct {
		Step int `json:"step"`
	}{index + 1})
}

// Started tells that a step starts, and its environment.
func (l *Log) Started(index int, env map[string]string) error {
	return l.write("TASK_STEP", "STARTED", struct {
		Step int               `json:"step"`
		Env  map[string]string `json:"env"`
	}{index + 1, env})
}

// Succeeded tells that a step has ended, and what stands after it.
func (l *Log) Succeeded(index int, diff []byte, outputs map[string]any) error {
	return l.write("TASK_STEP", "SUCCESS", struct {
		Version int            `json:"version"`
		Step    int            `json:"step"`
		Diff    []byte         `json:"diff"`
		Outputs map[string]any `json:"outputs"`
	}{batches.ResultVersion, index, append([]byte{}, diff...), outputs})
}

// Cached tells the result that the server may keep under key.
func (l *Log) Cached(key string, value batches.Result) error {
	return l.write("CACHE_AFTER_STEP_RESULT", "SUCCESS", struct {
		Key   string         `json:"key"`
		Value batches.Result `json:"value"`
	}{key, value})
}

func (l *Log) write(operation, status string, metadata any) error {
	line, err := json.Marshal(struct {
		Operation string `json:"operation"`
		Timestamp string `json:"timestamp"`
		Status    string `json:"status"`
		Metadata  any    `json:"metadata"`
	}{operation, l.now().UTC().Format(timeLayout), status, metadata})
	if err != nil {
		return err
	}
	_, err = l.out.Write(append(line, '\n'))
	return err
}
