package queueclient

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

func TestDequeueRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Config)
		path   string
		body   string
	}{
		"single": {
			nil, "/.executors/queue/batches/dequeue", `{"executorName":"host-1","version":"5.2.0"}`,
		},
		"single with resources": {
			func(c *Config) { c.NumCPUs, c.Memory, c.DiskSpace = 4, "12G", "20G" }, "/.executors/queue/batches/dequeue",
			`{"executorName":"host-1","version":"5.2.0","numCPUs":4,"memory":"12G","diskSpace":"20G"}`,
		},
		"several": {
			several, "/.executors/queue/dequeue", `{"queues":["codeintel","batches"],"executorName":"host-1","version":"5.2.0"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frontend, client := frontendClient(t, test.change)
			_, ok, err := client.Dequeue(t.Context())
			require.NoError(t, err)
			require.False(t, ok)
			request := frontend.Requests()[0]
			require.Equal(t, test.path, request.Path)
			require.Equal(t, test.body, string(request.Body))
			require.NotContains(t, request.Header, "Prefer", "no wait, no preference")
		})
	}
}

func TestDequeueBothPayloads(t *testing.T) {
	t.Parallel()
	binary := map[string]api.File{"f": {Content: []byte{0xff, 0x00}}}
	for _, change := range []func(*Config){nil, several} {
		frontend, client := frontendClient(t, change)
		frontend.Enqueue(api.Job{Version: api.JobV1, Files: map[string]api.File{"f": {Content: []byte("text")}}})
		frontend.Enqueue(api.Job{Version: api.JobV2, Files: binary})
		frontend.Enqueue(api.Job{Files: binary})

		first, second, third := take(t, client), take(t, client), take(t, client)
		require.Equal(t, api.JobV1, first.Version)
		require.Equal(t, "text", string(first.Files["f"].Content))
		require.Equal(t, api.JobV2, second.Version)
		require.Equal(t, binary, second.Files)
		require.Equal(t, api.JobV2, third.Version, "chosen by the version of the dequeue")
		queue := ""
		if client.several() {
			queue = "batches"
		}
		require.Equal(t, queue, first.Queue)
		require.Len(t, first.Token, 40)
	}
}

func TestDequeueWaits(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, func(config *Config) { config.Wait = 30 * time.Second })
	frontend.Advertise("attempts")
	go func() {
		asked := func(r frontendtest.Request) bool { return strings.HasSuffix(r.Path, "/dequeue") }
		if _, err := frontend.Await(t.Context(), asked); err == nil {
			frontend.Enqueue(api.Job{ID: 7})
		}
	}()
	require.EqualValues(t, 7, take(t, client).ID)
}

func TestDequeueEndsWithItsContext(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, func(config *Config) { config.Wait = 30 * time.Second })
	frontend.Advertise("attempts")
	draining := errors.New("draining")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		_, _ = frontend.Await(t.Context(), func(frontendtest.Request) bool { return true })
		cancel(draining)
	}()
	_, ok, err := client.Dequeue(ctx)
	require.False(t, ok)
	require.ErrorIs(t, err, draining)
}

func TestMalformedDequeueAnswers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                         "malformed job",
		`<html>`:                   "malformed job",
		`{"id":"1"}`:               "malformed job",
		`{"id":1}{"id":2}`:         "malformed job",
		`{}`:                       "without an id",
		`null`:                     "without an id",
		`{"id":1,"files":{"f":1}}`: `file "f"`,
	} {
		_, ok, err := answering(t, answer200(body)).Dequeue(t.Context())
		require.False(t, ok, body)
		require.ErrorContains(t, err, want, body)
	}

	client := answering(t, answer200(`{"id":1}`))
	client.config.Queue, client.config.Queues = "", []string{"a", "b"}
	_, _, err := client.Dequeue(t.Context())
	require.ErrorContains(t, err, `without its queue: id 1, queue ""`)
}

func TestHugeAnswersAreNotRead(t *testing.T) {
	t.Parallel()
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		block := []byte(strings.Repeat(" ", 1<<20))
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	_, _, err := client.Dequeue(t.Context())
	require.ErrorContains(t, err, "dequeue: reading the answer: it is longer than 67108864 bytes")
}
