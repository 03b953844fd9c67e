// Package logtest gives loggers to tests: they write to the test's own log, or keep what they get.
package logtest

import (
	"os"
	"sync"
	"testing"

	"github.com/sourcegraph/log"
	"go.uber.org/zap/zapcore"
)

// LoggerOptions steer ScopedWith. The zero value logs everything.
type LoggerOptions struct {
	// Level is the lowest that is logged, LevelDebug when empty.
	Level log.Level
	// FailOnErrorLogs makes the test fail when an error is logged.
	FailOnErrorLogs bool
}

// Init sets up log.Scoped for a package's tests, from TestMain, at level SRC_LOG_LEVEL.
func Init(m *testing.M) { initProcess() }

// InitWithLevel is Init with a level that goes before the environment's.
func InitWithLevel(m *testing.M, level log.Level) {
	_ = os.Setenv("SRC_LOG_LEVEL", string(level))
	initProcess()
}

func initProcess() { log.Init(log.Resource{Name: "test", InstanceID: "test"}) }

// Scoped returns a logger of the test's name and the scope's that writes to the test's log until the test ends.
func Scoped(t testing.TB) log.Logger { return ScopedWith(t, LoggerOptions{}) }

// ScopedWith is Scoped with options.
func ScopedWith(t testing.TB, options LoggerOptions) log.Logger {
	t.Helper()
	level := options.Level
	if level == "" {
		level = log.LevelDebug
	}
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		LevelKey: "level", NameKey: "scope", CallerKey: "caller", MessageKey: "message", StacktraceKey: "stack",
		EncodeLevel:    zapcore.CapitalLevelEncoder,
		EncodeTime:     zapcore.ISO8601TimeEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
		EncodeCaller:   zapcore.ShortCallerEncoder,
	})
	writer := &testWriter{t: t}
	t.Cleanup(writer.end)
	core := zapcore.NewCore(encoder, writer, level.Parse())
	if options.FailOnErrorLogs {
		core = zapcore.RegisterHooks(core, writer.failOnError)
	}
	return onCore(core).Scoped(t.Name())
}

// NoOp returns a logger that drops everything.
func NoOp(testing.TB) log.Logger { return log.NoOp() }

func onCore(core zapcore.Core) log.Logger {
	return log.NoOp().(interface {
		WithCore(core zapcore.Core) log.Logger
	}).WithCore(core)
}

// testWriter writes to a test's log. After the test has ended it drops everything, because a goroutine that logs too late would
// otherwise bring down the whole test binary.
type testWriter struct {
	mu    sync.Mutex
	t     testing.TB
	ended bool
}

func (w *testWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.t.Logf("%s", trimNewline(line))
	}
	return len(line), nil
}

func (w *testWriter) Sync() error { return nil }

func (w *testWriter) failOnError(entry zapcore.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if entry.Level >= zapcore.ErrorLevel && !w.ended {
		w.t.Errorf("an error was logged: %s", entry.Message)
	}
	return nil
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
}

func trimNewline(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		return line[:n-1]
	}
	return line
}
