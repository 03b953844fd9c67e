package jobsapi_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/jobsapi"
	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
	"github.com/open-executor/executor/internal/store"
)

const logs = "/api/v1/jobs/1/logs"

// TestStreamFollows: a reader sees every change as it happens, from before the first attempt to the end. The executor only
// goes on when the reader has seen what it did, so nothing may be held back, by a proxy in between neither.
func TestStreamFollows(t *testing.T) {
	t.Parallel()
	for name, proxy := range map[string]func(http.Handler) http.Handler{"direct": nil, "proxied": reverseProxy(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := jobsapitest.Start(t, jobsapitest.Options{Proxy: proxy})
			spec := jobsapitest.Spec("default")
			spec.Retries = 1
			f.Submit(spec)
			s := open(t, f, logs, "")
			defer s.close()
			require.Equal(t, "no", s.header.Get("X-Accel-Buffering"))
			require.Equal(t, "no-store", s.header.Get("Cache-Control"))
			require.Equal(t, jobs.Queued, as[jobs.StateEvent](t, s.must(jobs.EventState)).State)

			run := f.Lease("default")
			require.Equal(t, jobs.Processing, as[jobs.StateEvent](t, s.must(jobs.EventState)).State)
			attempt := s.must(jobs.EventAttempt)
			require.Equal(t, "1:0", attempt.id)
			require.Equal(t, jobsapitest.Executor, as[jobs.AttemptEvent](t, attempt).Executor)
			id := run.Open("step.docker.build", "docker", "run")
			entry := as[jobs.Entry](t, s.must(jobs.EventEntry))
			require.Equal(t, "step.docker.build", entry.Key)
			require.Equal(t, []string{"docker", "run"}, entry.Command)
			run.Write(id, "stdout: über\n")
			output := s.must(jobs.EventOutput)
			require.Equal(t, "1:14", output.id)
			require.Equal(t, jobs.OutputEvent{Entry: 1, Text: "stdout: über\n"}, as[jobs.OutputEvent](t, output))
			run.Write(id, "stderr: oops\n")
			require.Equal(t, jobs.OutputEvent{Entry: 1, Offset: 14, Text: "stderr: oops\n"}, as[jobs.OutputEvent](t, s.must(jobs.EventOutput)))
			f.Advance(1500 * time.Millisecond)
			run.Exit(id, 3)
			exit := as[jobs.Entry](t, s.must(jobs.EventExit))
			require.Equal(t, 3, *exit.ExitCode)
			require.Equal(t, 1500, *exit.DurationMs)
			run.Finish(store.Errored, "exit code 3")
			require.Equal(t, jobs.StateEvent{State: jobs.Errored, Reason: "exit code 3"}, as[jobs.StateEvent](t, s.must(jobs.EventState)))

			f.Advance(time.Hour)
			run = f.Lease("default")
			require.Equal(t, jobs.Processing, as[jobs.StateEvent](t, s.must(jobs.EventState)).State)
			require.Equal(t, "2:0", s.must(jobs.EventAttempt).id)
			run.Finish(store.Complete, "")
			require.Equal(t, jobs.Completed, as[jobs.StateEvent](t, s.must(jobs.EventEnd)).State)
			_, ok := s.next()
			require.False(t, ok, "nothing follows the end")
		})
	}
}

// reverseProxy puts a proxy that gathers answers before it passes them on in front of a handler.
func reverseProxy(t *testing.T) func(http.Handler) http.Handler {
	return func(handler http.Handler) http.Handler {
		backend := httptest.NewServer(handler)
		t.Cleanup(func() {
			backend.CloseClientConnections()
			backend.Close()
		})
		target, err := url.Parse(backend.URL)
		require.NoError(t, err)
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		return &httputil.ReverseProxy{
			Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
			FlushInterval: time.Hour,
			Transport:     transport,
		}
	}
}

// TestReplayKeepsOrder: of a job that is over, the end of each entry is told right behind its last output, although output of two
// entries was mixed.
func TestReplayKeepsOrder(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	f.Submit(jobsapitest.Spec("default"))
	run := f.Lease("default")
	first, second, third := run.Open("setup.fs.extras"), run.Open("step.docker.a"), run.Open("step.docker.b")
	run.Write(first, "a\n")
	run.Write(third, "b\n")
	run.Write(first, "c\n")
	run.Rewrite(third, "d\n")
	for _, id := range []int{first, second, third} {
		run.Exit(id, 0)
	}
	run.Finish(store.Complete, "")
	s := open(t, f, logs, "")
	defer s.close()
	var got []string
	for {
		e, ok := s.next()
		require.True(t, ok)
		e.check(t)
		switch e.name {
		case jobs.EventEntry, jobs.EventExit:
			got = append(got, e.name+" "+as[jobs.Entry](t, e).Key)
		case jobs.EventOutput:
			output := as[jobs.OutputEvent](t, e)
			text := e.name + " " + strings.TrimSpace(output.Text)
			if output.Reset {
				text += " (reset)"
			}
			got = append(got, text)
		default:
			got = append(got, e.name)
		}
		if e.name == jobs.EventEnd {
			break
		}
	}
	require.Equal(t, []string{
		"attempt",
		"entry setup.fs.extras", "output a",
		"entry step.docker.a", "exit step.docker.a", "entry step.docker.b", "output b",
		"output c", "exit setup.fs.extras",
		"output d (reset)", "exit step.docker.b",
		"end",
	}, got)
}

func TestStreamFromAPosition(t *testing.T) {
	t.Parallel()
	f := withJobs(t) // the log of job 1 is "stdout: ok\n"
	for name, test := range map[string]struct{ query, lastID, want string }{
		"query":            {"?offset=8", "", "ok\n"},
		"attempt":          {"?attempt=1", "", "stdout: ok\n"},
		"event id":         {"", "1:3", "out: ok\n"},
		"event id wins":    {"?offset=3", "1:9", "k\n"},
		"at the end":       {"?offset=11", "", ""},
		"behind the end":   {"?offset=1000", "", ""},
		"end as event id":  {"", "1:11", ""},
		"far as event id":  {"", "1:999999999999999999", ""},
		"entry by another": {"?attempt=1&offset=10", "", "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, f, logs+test.query, test.lastID)
			defer s.close()
			s.must(jobs.EventAttempt)
			s.must(jobs.EventEntry)
			if test.want != "" {
				require.Equal(t, test.want, as[jobs.OutputEvent](t, s.must(jobs.EventOutput)).Text)
			}
			s.must(jobs.EventExit)
			s.must(jobs.EventEnd)
		})
	}
}

func TestStreamSignsOfLife(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{Config: jobsapi.Config{KeepAlive: time.Millisecond}})
	f.Submit(jobsapitest.Spec("default"))
	s := open(t, f, logs, "")
	defer s.close()
	s.must(jobs.EventState)
	for range 3 {
		e, ok := s.next()
		require.True(t, ok)
		require.Equal(t, event{name: ":", data: "still here"}, e)
	}
	// A change that nobody wakes for, of another process, is found all the same.
	_, err := f.Store.Cancel(t.Context(), 1)
	require.NoError(t, err)
	s.must(jobs.EventEnd)
}

// TestEndStreams: when the frontend stops, streams end by themselves, without an end event.
func TestEndStreams(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	f.Submit(jobsapitest.Spec("default"))
	s := open(t, f, logs, "")
	defer s.close()
	s.must(jobs.EventState)
	f.Handler.EndStreams()
	e, ok := s.next()
	require.True(t, ok)
	require.Equal(t, event{name: ":", data: "the frontend stops"}, e)
	_, ok = s.next()
	require.False(t, ok)
	late := open(t, f, logs, "")
	defer late.close()
	for {
		e, ok := late.next()
		if !ok {
			break
		}
		require.NotEqual(t, jobs.EventEnd, e.name)
	}
}

// TestEndStreamsAfterTheEndOfAJob: a frontend that stops as soon as its job is over, as standalone's does, still tells of the end.
func TestEndStreamsAfterTheEndOfAJob(t *testing.T) {
	t.Parallel()
	for range 20 {
		f := jobsapitest.Start(t, jobsapitest.Options{})
		f.Submit(jobsapitest.Spec("default"))
		run := f.Lease("default")
		s := open(t, f, logs, "")
		s.must(jobs.EventState)
		s.must(jobs.EventAttempt)
		run.Finish(store.Complete, "")
		f.Handler.EndStreams()
		s.must(jobs.EventEnd)
		_, ok := s.next()
		require.False(t, ok)
		s.close()
	}
}

// TestSlowReaderIsCutOff: a reader that takes nothing in doesn't hold its request for ever.
func TestSlowReaderIsCutOff(t *testing.T) {
	t.Parallel()
	for _, accept := range []string{"text/event-stream", "text/plain"} {
		t.Run(accept, func(t *testing.T) {
			t.Parallel()
			returned := make(chan struct{})
			f := jobsapitest.Start(t, jobsapitest.Options{
				Config: jobsapi.Config{IOTimeout: 50 * time.Millisecond},
				Proxy: func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						defer close(returned)
						next.ServeHTTP(w, r)
					})
				},
			})
			f.Submit(jobsapitest.Spec("default"))
			run := f.Lease("default")
			run.Write(run.Open("step.docker.build"), strings.Repeat("x", 32<<20))
			conn, err := net.Dial("tcp", f.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, "GET "+logs+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+jobsapitest.Token+"\r\nAccept: "+accept+"\r\n\r\n")
			require.NoError(t, err)
			select {
			case <-returned:
			case <-time.After(20 * time.Second):
				require.Fail(t, "the request is still held")
			}
		})
	}
}

func TestPlainLogs(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	spec := jobsapitest.Spec("default")
	spec.Retries = 1
	f.Submit(spec)
	require.Empty(t, get(t, f, logs).body, "no attempt yet")
	run := f.Lease("default")
	run.Step("step.docker.build", "one\n", 1)
	run.Finish(store.Errored, "")
	f.Advance(time.Hour)
	run = f.Lease("default")
	run.Step("setup.fs.extras", "two\n", 0)
	run.Step("step.docker.build", strings.Repeat("ü", 200_000)+"\n", 0)
	for query, want := range map[string]string{
		"":                    "stdout: two\nstdout: " + strings.Repeat("ü", 200_000) + "\n",
		"?attempt=1":          "stdout: one\n",
		"?attempt=1&offset=8": "one\n",
		"?offset=400020":      "\n",
		"?offset=999999":      "",
		"?entry=1":            "stdout: two\n",
		"?entry=9":            "",
		"?entry=1&offset=8":   "two\n",
	} {
		got := get(t, f, logs+query)
		require.Equal(t, http.StatusOK, got.status)
		require.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"))
		require.Equal(t, want, string(got.body), query)
	}
}
