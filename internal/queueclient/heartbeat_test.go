package queueclient

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

const telemetryJSON = `"os":"linux","architecture":"amd64","dockerVersion":"","executorVersion":"5.2.0","gitVersion":"","igniteVersion":"","srcCliVersion":""`

func TestHeartbeatRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Config)
		uids   []string
		path   string
		body   string
	}{
		"single, idle": {
			nil, nil, "/.executors/queue/batches/heartbeat",
			`{"version":"V2","executorName":"host-1","jobIds":null,` + telemetryJSON + `,"prometheusMetrics":"up 1\n"}`,
		},
		"single": {
			nil, []string{"42", "7"}, "/.executors/queue/batches/heartbeat",
			`{"version":"V2","executorName":"host-1","jobIds":[7,42],` + telemetryJSON + `,"prometheusMetrics":"up 1\n"}`,
		},
		"single, and the frontend names its queue": {
			nil, []string{"42-batches"}, "/.executors/queue/batches/heartbeat",
			`{"version":"V2","executorName":"host-1","jobIds":[42],` + telemetryJSON + `,"prometheusMetrics":"up 1\n"}`,
		},
		"several, idle": {
			several, nil, "/.executors/queue/heartbeat",
			`{"version":"","executorName":"host-1","queueNames":["codeintel","batches"],` + telemetryJSON + `,"prometheusMetrics":"up 1\n"}`,
		},
		"several": {
			several, []string{"3-codeintel", "10-batches", "9-batches"}, "/.executors/queue/heartbeat",
			`{"version":"","executorName":"host-1","jobIdsByQueue":[{"queueName":"batches","jobIds":["9","10"]},{"queueName":"codeintel","jobIds":["3"]}],"queueNames":["codeintel","batches"],` + telemetryJSON + `,"prometheusMetrics":"up 1\n"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frontend, client := frontendClient(t, test.change)
			client.config.Metrics = func(context.Context) string { return "up 1\n" }
			_, _, err := client.Heartbeat(t.Context(), test.uids)
			require.NoError(t, err)
			request := frontend.Requests()[0]
			require.Equal(t, test.path, request.Path)
			require.Equal(t, test.body, string(request.Body))
		})
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	empty := `"os":"","architecture":"","dockerVersion":"","executorVersion":"","gitVersion":"","igniteVersion":"","srcCliVersion":"","prometheusMetrics":""}`
	frontend, client := frontendClient(t, nil)
	require.NoError(t, client.Ping(t.Context()))
	require.Equal(t, "/.executors/queue/batches/heartbeat", frontend.Requests()[0].Path)
	require.Equal(t, `{"version":"","executorName":"host-1",`+empty, string(frontend.Requests()[0].Body))

	frontend, client = frontendClient(t, several)
	require.NoError(t, client.Ping(t.Context()))
	require.Equal(t, "/.executors/queue/heartbeat", frontend.Requests()[0].Path)
	require.Equal(t, `{"version":"","executorName":"host-1","queueNames":["codeintel","batches"],`+empty, string(frontend.Requests()[0].Body))
}

func TestHeartbeatAgainstAFrontend(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){"single": nil, "several": several} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frontend, client := frontendClient(t, change)
			var uids []string
			for range 3 {
				frontend.Enqueue(api.Job{})
				uids = append(uids, take(t, client).UID())
			}
			frontend.Cancel(2)
			frontend.Forget(3)
			known, cancel, err := client.Heartbeat(t.Context(), uids)
			require.NoError(t, err)
			require.Equal(t, uids[:2], known)
			require.Equal(t, uids[1:2], cancel)

			stranger := newClient(t, frontend.URL(), frontend.HTTP(), func(config *Config) {
				if change != nil {
					change(config)
				}
				config.ExecutorName = "host-2"
			})
			known, cancel, err = stranger.Heartbeat(t.Context(), uids)
			require.NoError(t, err)
			require.Empty(t, known)
			require.Empty(t, cancel)
		})
	}
}

func TestHeartbeatAnswersOfOneQueue(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2][]string{
		`{"knownIds":["1","2-batches"],"cancelIds":["1"]}`: {{"1", "2-batches"}, {"1"}},
		`{"knownIds":[1,2.0],"cancelIds":[2e0]}`:           {{"1", "2-batches"}, {"2-batches"}},
		`{"knownIDs":["1"],"CANCELIDS":["1"],"more":true}`: {{"1"}, {"1"}},
		`{"knownIds":["1","99"],"cancelIds":["99"]}`:       {{"1"}, {}},
		`{"knownIds":null,"cancelIds":null}`:               {{}, {}},
		`{"cancelIds":[]}`:                                 {{}, {}},
		` {} `:                                             {{}, {}},
	} {
		known, cancel, err := answering(t, answer200(body)).Heartbeat(t.Context(), []string{"1", "2-batches"})
		require.NoError(t, err, body)
		require.ElementsMatch(t, want[0], known, body)
		require.ElementsMatch(t, want[1], cancel, body)
	}
}

// TestUnusableHeartbeatAnswersEndNoJob: an answer that names no known jobs makes a worker stop everything, so that what can't be
// understood must not look like one.
func TestUnusableHeartbeatAnswersEndNoJob(t *testing.T) {
	t.Parallel()
	noContent := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	for name, handler := range map[string]http.HandlerFunc{
		"no content":        noContent,
		"empty":             answer200(""),
		"null":              answer200("null"),
		"a list":            answer200("[]"),
		"a page":            answer200("<html>log in first</html>"),
		"another object":    answer200(`{"error":"overloaded"}`),
		"a cut object":      answer200(`{"knownIds":["1"`),
		"two objects":       answer200(`{"knownIds":["1"]}{}`),
		"ids of wrong type": answer200(`{"knownIds":[true]}`),
		"ids not in a list": answer200(`{"knownIds":"1"}`),
		"ids that aren't":   answer200(`{"knownIds":["batches"]}`),
		"bad cancel ids":    answer200(`{"knownIds":["1"],"cancelIds":[{}]}`),
		"500":               func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		known, cancel, err := answering(t, handler).Heartbeat(t.Context(), []string{"1"})
		require.ErrorContains(t, err, "heartbeat: ", name)
		require.Equal(t, fault.Infrastructure, fault.ClassOf(err), name)
		require.Nil(t, known, name)
		require.Nil(t, cancel, name)
	}
	client := answering(t, answer200(`{"knownIds":["1"]}`))
	client.config.Queue, client.config.Queues = "", []string{"a", "b"}
	_, _, err := client.Heartbeat(t.Context(), []string{"1-a"})
	require.ErrorContains(t, err, `id "1" names no queue`)
}

func TestHeartbeatRefusesUIDsThatAreNone(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, nil)
	_, _, err := client.Heartbeat(t.Context(), []string{"batches"})
	require.ErrorContains(t, err, `job uid "batches"`)
	require.Empty(t, frontend.Requests())

	frontend, client = frontendClient(t, several)
	_, _, err = client.Heartbeat(t.Context(), []string{"1"})
	require.ErrorContains(t, err, "job 1 has no queue")
	require.Empty(t, frontend.Requests())
}

func TestHangingMetricsCostNoHeartbeat(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	logger, logs := logtest.Captured(t)
	frontend, client := frontendClient(t, func(config *Config) {
		config.Metrics = func(context.Context) string {
			<-release
			return "late 1\n"
		}
	})
	client.logger = logger
	// The caller's context stands in for the 3 s of TestMetricsAreGivenThreeSeconds.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Empty(t, client.metrics(ctx))
	_, _, err := client.Heartbeat(t.Context(), nil)
	require.NoError(t, err)
	require.Contains(t, string(frontend.Requests()[0].Body), `"prometheusMetrics":""`)
	require.Equal(t, []string{
		"gathering metrics takes too long, sending none",
		"metrics of an earlier heartbeat are still being gathered, sending none",
	}, logs().Messages())

	close(release)
	// Taking the place shows that the late call is over.
	client.gathering <- struct{}{}
	<-client.gathering
	require.Equal(t, "late 1\n", client.metrics(t.Context()))
}

func TestMetricsAreGivenThreeSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		client := &Client{logger: logtest.Scoped(t), gathering: make(chan struct{}, 1)}
		client.config.Metrics = func(context.Context) string {
			<-release
			return "late 1\n"
		}
		started := time.Now()
		require.Empty(t, client.metrics(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(started))
		close(release)
	})
}

func TestTranslationFindsWhatWasAsked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		client := &Client{}
		queues := []string{""}
		if rapid.Bool().Draw(t, "several") {
			client.config.Queues = []string{"a", "b-c"}
			queues = client.config.Queues
		} else {
			client.config.Queue = "a"
			queues = append(queues, "a")
		}
		// In the mode of one queue an id stands for one job, whatever is behind it.
		jobs := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) api.Job {
			return api.Job{ID: rapid.Int64Range(1, 50).Draw(t, "id"), Queue: rapid.SampledFrom(queues).Draw(t, "queue")}
		}), func(job api.Job) string {
			if client.several() {
				return job.UID()
			}
			return api.Job{ID: job.ID}.UID()
		}).Draw(t, "jobs")
		known := map[string]bool{}
		var uids []string
		var ids api.IDs
		for _, job := range jobs {
			uids = append(uids, job.UID())
			if rapid.Bool().Draw(t, "known") {
				known[job.UID()] = true
				ids = append(ids, job.UID())
			}
		}
		ids = append(ids, "1000-a")
		running, err := parseUIDs(uids)
		require.NoError(t, err)
		got, err := client.translate(running, ids)
		require.NoError(t, err)
		require.Len(t, got, len(known))
		for _, uid := range got {
			require.True(t, known[uid], uid)
		}
	})
}
