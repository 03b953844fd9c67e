package jobs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
)

func TestFileJSON(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content []byte
		wire    string
	}{
		"text":      {[]byte("über\n\x00"), `{"content":"über\n\u0000"}`},
		"bytes":     {[]byte{0xff, 0x00}, `{"content":"/wA=","encoding":"base64"}`},
		"empty":     {nil, `{"content":""}`},
		"half rune": {[]byte("\xc3"), `{"content":"ww==","encoding":"base64"}`},
	} {
		body, err := json.Marshal(jobs.File{Content: test.content})
		require.NoError(t, err, name)
		require.Equal(t, test.wire, string(body), name)
		var again jobs.File
		require.NoError(t, json.Unmarshal(body, &again), name)
		require.Equal(t, test.content, again.Content, name)
	}
	for _, bad := range []string{`{"content":"x","encoding":"hex"}`, `{"content":"%","encoding":"base64"}`, `[]`} {
		require.Error(t, json.Unmarshal([]byte(bad), new(jobs.File)), bad)
	}
}

func TestDurationJSON(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(jobs.Duration(90 * time.Second))
	require.NoError(t, err)
	require.Equal(t, `"1m30s"`, string(body))
	var again jobs.Duration
	require.NoError(t, json.Unmarshal(body, &again))
	require.Equal(t, jobs.Duration(90*time.Second), again)
	for _, bad := range []string{`90`, `"90"`, `"soon"`} {
		require.Error(t, json.Unmarshal([]byte(bad), &again), bad)
	}
}
