package log

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"
)

// bufferLogger logs to a buffer under an environment given as NAME, value pairs.
func bufferLogger(t *testing.T, env map[string]string) (Logger, *bytes.Buffer) {
	t.Helper()
	var output bytes.Buffer
	config := configFromEnv(func(name string) string { return env[name] })
	resource := Resource{Name: "executor", Namespace: "ours", Version: "1.2.3", InstanceID: "i1"}
	root, err := newRoot(config, resource, []Sink{&outputSink{config: config, output: &output}})
	require.NoError(t, err)
	return newAdapter(root, config.development), &output
}

func decodeLines(t *testing.T, output *bytes.Buffer) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(output.String()) {
		var decoded map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &decoded), line)
		lines = append(lines, decoded)
	}
	return lines
}

func TestJSONFollowsTheOpenTelemetryModel(t *testing.T) {
	t.Parallel()
	logger, output := bufferLogger(t, map[string]string{"SRC_LOG_LEVEL": "debug"})
	before := time.Now()
	logger.Scoped("worker").Scoped("queue").
		With(String("kept", "yes")).
		WithTrace(TraceContext{TraceID: "t1", SpanID: "s1"}).
		Warn("lease lost", Int("jobID", 42), Duration("took", 1500*time.Millisecond), Error(errors.New("gone")),
			Object("job", String("queue", "batches")), Strings("words", []string{"a", "b"}))

	lines := decodeLines(t, output)
	require.Len(t, lines, 1)
	line := lines[0]
	stamp := int64(line["Timestamp"].(float64))
	require.InDelta(t, before.UnixNano(), stamp, float64(time.Minute))
	delete(line, "Timestamp")
	require.Regexp(t, `^[^/]+/log_test\.go:\d+$`, line["Caller"])
	delete(line, "Caller")
	require.Equal(t, map[string]any{
		"SeverityText":         "WARN",
		"InstrumentationScope": "worker.queue",
		"Function":             "github.com/sourcegraph/log.TestJSONFollowsTheOpenTelemetryModel",
		"Body":                 "lease lost",
		"TraceId":              "t1",
		"SpanId":               "s1",
		"Resource": map[string]any{
			"service.name": "executor", "service.namespace": "ours", "service.version": "1.2.3", "service.instance.id": "i1",
		},
		"Attributes": map[string]any{
			"kept": "yes", "jobID": 42.0, "took": 1.5, "error": "gone",
			"job": map[string]any{"queue": "batches"}, "words": []any{"a", "b"},
		},
	}, line)
}

func TestGCPFormatRenamesThreeParts(t *testing.T) {
	t.Parallel()
	logger, output := bufferLogger(t, map[string]string{"SRC_LOG_FORMAT": "json_gcp"})
	logger.Error("no disk")
	line := decodeLines(t, output)[0]
	require.Equal(t, "ERROR", line["severity"])
	require.Equal(t, "no disk", line["message"])
	require.Contains(t, line, "timestampNanos")
	for _, absent := range []string{"SeverityText", "Body", "Timestamp"} {
		require.NotContains(t, line, absent)
	}
	require.Contains(t, line, "Attributes")
}

func TestDevelopmentIsForPeople(t *testing.T) {
	t.Parallel()
	logger, output := bufferLogger(t, map[string]string{"SRC_DEVELOPMENT": "true"})
	logger.Scoped("worker").Warn("slow", Duration("took", 90*time.Second))
	require.Contains(t, output.String(), "\x1b[33mWARN\x1b[0m")
	require.Contains(t, output.String(), `slow	{"took": "1m30s"}`)
	require.NotContains(t, output.String(), "Resource")
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]format{
		"": formatJSON, "json": formatJSON, "logfmt": formatJSON, "unheard-of": formatJSON,
		"json_gcp": formatJSONGCP, "console": formatConsole, "condensed": formatConsole,
	} {
		require.Equal(t, want, parseFormat(text, false), text)
	}
	require.Equal(t, formatConsole, parseFormat("", true))
	require.Equal(t, formatJSON, parseFormat("json", true))

	logger, output := bufferLogger(t, map[string]string{"SRC_LOG_FORMAT": "condensed"})
	logger.Warn("plain", Int("n", 1))
	require.Regexp(t, `WARN\t\S+log_test\.go:\d+\tplain\t\{.*"Attributes": \{"n": 1\}\}`, output.String())
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for text, want := range map[Level]zapcore.Level{
		"debug": zapcore.DebugLevel, "dbug": zapcore.DebugLevel, "info": zapcore.InfoLevel, "INFO": zapcore.InfoLevel,
		"warn": zapcore.WarnLevel, "error": zapcore.ErrorLevel, "eror": zapcore.ErrorLevel, "crit": zapcore.ErrorLevel,
		"none": zapNone, "": zapcore.WarnLevel, "loud": zapcore.WarnLevel,
	} {
		require.Equal(t, want, text.Parse(), string(text))
	}
	for level, want := range map[string]int{"debug": 4, "info": 3, "": 2, "error": 1, "none": 0} {
		logger, output := bufferLogger(t, map[string]string{"SRC_LOG_LEVEL": level})
		logger.Debug("m")
		logger.Info("m")
		logger.Warn("m")
		logger.Error("m")
		require.Len(t, decodeLines(t, output), want, level)
	}
}

func TestScopeLevels(t *testing.T) {
	t.Parallel()
	logger, output := bufferLogger(t, map[string]string{
		"SRC_LOG_LEVEL":       "error",
		"SRC_LOG_SCOPE_LEVEL": "worker=debug, worker.noisy=none,broken,=info",
	})
	for _, scope := range []string{"worker", "worker.queue", "worker.noisy", "worker.noisy.child", "workers", "other"} {
		logger.Scoped(scope).Debug(scope)
	}
	logger.Debug("root")
	logger.Error("root")
	var seen []any
	for _, line := range decodeLines(t, output) {
		seen = append(seen, line["Body"])
	}
	require.Equal(t, []any{"worker", "worker.queue", "root"}, seen)
}

func TestIncreaseLevelOnlyIncreases(t *testing.T) {
	t.Parallel()
	logger, output := bufferLogger(t, map[string]string{"SRC_LOG_LEVEL": "info"})
	quiet := logger.IncreaseLevel("quiet", "a library that talks much", LevelError)
	quiet.Warn("dropped")
	quiet.With(Int("n", 1)).Scoped("deeper").Error("kept")
	logger.IncreaseLevel("same", "", LevelDebug).Debug("still dropped")
	logger.IncreaseLevel("silent", "", LevelNone).Error("dropped too")
	lines := decodeLines(t, output)
	require.Len(t, lines, 1)
	require.Equal(t, "quiet.deeper", lines[0]["InstrumentationScope"])
}

func TestSampling(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		initial, thereafter string
		want                int
	}{
		"default":          {"", "", 101},
		"small":            {"2", "50", 6},
		"initial off":      {"0", "100", 250},
		"thereafter off":   {"100", "-1", 250},
		"not numbers":      {"many", "few", 101},
		"everything kept":  {"1000", "1", 250},
		"every second one": {"1", "2", 125},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := configFromEnv(func(variable string) string {
				return map[string]string{
					"SRC_LOG_SAMPLING_INITIAL": test.initial, "SRC_LOG_SAMPLING_THEREAFTER": test.thereafter,
				}[variable]
			})
			var output bytes.Buffer
			core, err := (&outputSink{config: config, output: &output}).build()
			require.NoError(t, err)
			// One instant for all, so that a slow machine does not begin a second second.
			entry := zapcore.Entry{Level: zapcore.WarnLevel, Time: time.Unix(1000, 0), Message: "again"}
			for range 250 {
				if checked := core.Check(entry, nil); checked != nil {
					checked.Write()
				}
			}
			require.Equal(t, test.want, strings.Count(output.String(), "\n"))
		})
	}
}

func TestDerivedLoggersLeaveTheirParentsAlone(t *testing.T) {
	t.Parallel()
	logger, output := bufferLogger(t, nil)
	parent := logger.With(String("a", "1"))
	parent.With(String("b", "2"))
	parent.WithTrace(TraceContext{TraceID: "t"})
	parent.Scoped("child").With(String("c", "3")).Warn("child")
	parent.Warn("parent")
	lines := decodeLines(t, output)
	require.Equal(t, map[string]any{"a": "1", "c": "3"}, lines[0]["Attributes"])
	require.Equal(t, map[string]any{"a": "1"}, lines[1]["Attributes"])
	require.NotContains(t, lines[1], "TraceId")
	require.NotContains(t, lines[1], "InstrumentationScope")
}

func TestCallerSkip(t *testing.T) {
	t.Parallel()
	logger, output := bufferLogger(t, nil)
	helper := func() { logger.AddCallerSkip(1).Warn("from the helper's caller") }
	helper()
	require.Equal(t, "github.com/sourcegraph/log.TestCallerSkip", decodeLines(t, output)[0]["Function"])
}

type verboseError struct{}

func (verboseError) Error() string              { return "short" }
func (verboseError) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("long")) }

func TestErrorFields(t *testing.T) {
	t.Parallel()
	logger, output := bufferLogger(t, nil)
	logger.Warn("errors", Error(nil), NamedError("cause", verboseError{}), Error(errors.Join(errors.New("a"), errors.New("b"))))
	require.Equal(t, map[string]any{"cause": "short", "error": "a\nb"}, decodeLines(t, output)[0]["Attributes"])
}

func TestResourceDefaults(t *testing.T) {
	t.Parallel()
	values := map[string]string{}
	for _, field := range (Resource{}).attributes() {
		values[field.Key] = field.String
	}
	require.Equal(t, "unknown_service", values["service.name"])
	require.Len(t, values["service.instance.id"], len("00000000-0000-0000-0000-000000000000"))
}

// TestProcess runs this test binary again, once per case, because Init and Fatal are about the whole process.
func TestProcess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env      []string
		exitCode int
		output   string
		absent   string
	}{
		"initialized":         {output: `"Body":"hello"`, absent: "dropped"},
		"twice":               {exitCode: 2, output: "log.Init called a second time"},
		"bad sink":            {exitCode: 2, output: "log.Init: sink bad: no network"},
		"fatal":               {exitCode: 1, output: `"Stacktrace":"`},
		"early":               {absent: "hello"},
		"early, noop fatal":   {exitCode: 1, absent: "hello"},
		"early, development":  {env: []string{"SRC_DEVELOPMENT=true"}, exitCode: 2, output: "log.Scoped called before log.Init"},
		"update does nothing": {output: `"Body":"hello"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := exec.Command(os.Args[0], "-test.run=^TestProcessChild$")
			child.Env = append([]string{"LOG_TEST_CASE=" + name}, test.env...)
			var output bytes.Buffer
			child.Stderr = &output
			_ = child.Run()
			require.Equal(t, test.exitCode, child.ProcessState.ExitCode(), output.String())
			require.Contains(t, output.String(), test.output)
			if test.absent != "" {
				require.NotContains(t, output.String(), test.absent)
			}
		})
	}
}

// TestProcessChild does nothing unless TestProcess started it.
func TestProcessChild(t *testing.T) {
	resource := Resource{Name: "child"}
	switch os.Getenv("LOG_TEST_CASE") {
	case "initialized":
		callbacks := Init(resource)
		defer callbacks.Sync()
		Scoped("main").Warn("hello")
		Scoped("main").Info("dropped")
	case "update does nothing":
		callbacks := Init(resource)
		callbacks.Update(func() SinksConfig { return SinksConfig{} })()
		Scoped("main").Warn("hello")
	case "twice":
		Init(resource)
		Init(resource)
	case "bad sink":
		Init(resource, badSink{})
	case "fatal":
		Init(resource)
		Scoped("main").Fatal("over")
	case "early", "early, development":
		Scoped("main").Error("hello")
	case "early, noop fatal":
		Scoped("main").Fatal("hello")
	}
}

type badSink struct{}

func (badSink) Name() string                 { return "bad" }
func (badSink) build() (zapcore.Core, error) { return nil, errors.New("no network") }
