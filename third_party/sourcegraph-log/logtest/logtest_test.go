package logtest

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/sourcegraph/log"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	InitWithLevel(m, log.LevelNone)
	os.Exit(m.Run())
}

func TestInitMakesScopedUsable(t *testing.T) {
	require.NotPanics(t, func() { log.Scoped("anything").Error("dropped by level") })
	require.Panics(t, func() { Init(nil) }, "once a process")
}

func TestCaptured(t *testing.T) {
	t.Parallel()
	logger, dump := Captured(t)
	logger.Scoped("worker").With(log.Int("jobID", 42)).Info("took a job", log.Duration("waited", time.Second))
	logger.Error("lost it", log.Error(errors.New("gone")))

	logs := dump()
	require.Equal(t, []string{"took a job", "lost it"}, logs.Messages())
	require.Equal(t, "worker", logs[0].Scope)
	require.Equal(t, log.LevelInfo, logs[0].Level)
	require.Equal(t, map[string]any{"jobID": int64(42), "waited": time.Second}, logs[0].Fields)
	require.WithinDuration(t, time.Now(), logs[0].Time, time.Minute)

	isError := func(entry CapturedLog) bool { return entry.Level == log.LevelError }
	require.Equal(t, []string{"lost it"}, logs.Filter(isError).Messages())
	require.Equal(t, "gone", logs.Filter(isError)[0].Fields["error"])
	require.True(t, logs.Contains(isError))
	require.False(t, logs.Contains(func(entry CapturedLog) bool { return entry.Scope == "nobody" }))
	require.Empty(t, dump(), "each message is handed out once")
}

// fakeTest records what a logger does to its test.
type fakeTest struct {
	testing.TB
	lines, errors []string
	cleanups      []func()
}

func (f *fakeTest) Helper()                {}
func (f *fakeTest) Name() string           { return "TestFake" }
func (f *fakeTest) Cleanup(cleanup func()) { f.cleanups = append(f.cleanups, cleanup) }
func (f *fakeTest) Logf(format string, args ...any) {
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}
func (f *fakeTest) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func TestScopedWritesToTheTestUntilItEnds(t *testing.T) {
	t.Parallel()
	fake := &fakeTest{}
	logger := Scoped(fake)
	logger.Scoped("worker").Debug("in time", log.Int("n", 1))
	for _, cleanup := range fake.cleanups {
		cleanup()
	}
	logger.Error("too late")
	require.Len(t, fake.lines, 1)
	require.Regexp(t, `^DEBUG\tTestFake\.worker\tlogtest/logtest_test\.go:\d+\tin time\t\{"n": 1\}$`, fake.lines[0])
	require.Empty(t, fake.errors)
}

func TestScopedWithOptions(t *testing.T) {
	t.Parallel()
	fake := &fakeTest{}
	logger := ScopedWith(fake, LoggerOptions{Level: log.LevelWarn, FailOnErrorLogs: true})
	logger.Info("below")
	logger.Warn("above")
	require.Len(t, fake.lines, 1)
	require.Empty(t, fake.errors)
	logger.Error("bad")
	require.Equal(t, []string{"an error was logged: bad"}, fake.errors)
}

func TestNoOp(t *testing.T) {
	t.Parallel()
	fake := &fakeTest{}
	NoOp(fake).Error("nowhere")
	require.Empty(t, fake.lines)
}
