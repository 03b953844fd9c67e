package event

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/batches"
)

func TestLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	zone := time.FixedZone("east", 3600)
	log := NewLog(&out, func() time.Time { return time.Date(2026, 1, 2, 1, 4, 5, 6_999_999, zone) })
	require.NoError(t, log.Skipped(0))
	require.NoError(t, log.Started(0, map[string]string{"A": "two\nlines"}))
	require.NoError(t, log.Succeeded(0, []byte{0, 255}, map[string]any{"o": 1}))
	require.NoError(t, log.Cached("key", batches.Result{StepIndex: 0, Stdout: "s"}))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, want := range []string{
		`{"operation":"TASK_STEP_SKIPPED","status":"PROGRESS","metadata":{"step":1},`,
		`{"operation":"TASK_STEP","status":"STARTED","metadata":{"step":1,"env":{"A":"two\nlines"}},`,
		`{"operation":"TASK_STEP","status":"SUCCESS","metadata":{"version":2,"step":0,"diff":"AP8=","outputs":{"o":1}},`,
		`{"operation":"CACHE_AFTER_STEP_RESULT","status":"SUCCESS","metadata":{"key":"key","value":{"version":2,"stepIndex":0,"stdout":"s","stderr":"",
			"diff":"","outputs":{},"skipped":false,"changedFiles":{"modified":[],"added":[],"deleted":[],"renamed":[]}}},`,
	} {
		require.JSONEq(t, want+`"timestamp":"2026-01-02T00:04:05.006Z"}`, lines[i])
		var read struct{ Timestamp time.Time }
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &read))
	}
	require.Len(t, lines, 4)
}
