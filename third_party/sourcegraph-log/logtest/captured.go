package logtest

import (
	"testing"
	"time"

	"github.com/sourcegraph/log"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// CapturedLog is one message.
type CapturedLog struct {
	Time    time.Time
	Scope   string
	Level   log.Level
	Message string
	// Fields holds durations as time.Duration, integers as their own types, and errors as their texts.
	Fields map[string]any
}

// CapturedLogs are messages in the order in which they were logged.
type CapturedLogs []CapturedLog

// Captured returns a logger that keeps everything, and a function that returns what was logged since its last call.
func Captured(testing.TB) (log.Logger, func() CapturedLogs) {
	core, observed := observer.New(zapcore.DebugLevel)
	return onCore(core), func() CapturedLogs {
		entries := observed.TakeAll()
		logs := make(CapturedLogs, 0, len(entries))
		for _, entry := range entries {
			logs = append(logs, CapturedLog{
				Time:    entry.Time,
				Scope:   entry.LoggerName,
				Level:   log.Level(entry.Level.String()),
				Message: entry.Message,
				Fields:  entry.ContextMap(),
			})
		}
		return logs
	}
}

// Messages returns the texts only.
func (logs CapturedLogs) Messages() []string {
	messages := make([]string, 0, len(logs))
	for _, entry := range logs {
		messages = append(messages, entry.Message)
	}
	return messages
}

// Filter returns those that keep holds for.
func (logs CapturedLogs) Filter(keep func(CapturedLog) bool) CapturedLogs {
	var kept CapturedLogs
	for _, entry := range logs {
		if keep(entry) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// Contains reports whether match holds for any of them.
func (logs CapturedLogs) Contains(match func(CapturedLog) bool) bool {
	return len(logs.Filter(match)) > 0
}
