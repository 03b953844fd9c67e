package queueclient

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

func TestRefusalsOfTheInstance(t *testing.T) {
	t.Parallel()
	for status, test := range map[int]struct {
		class fault.Class
		want  string
	}{
		http.StatusUnauthorized:        {fault.Operator, "EXECUTOR_FRONTEND_PASSWORD must be equal to executors.accessToken"},
		http.StatusForbidden:           {fault.Operator, "EXECUTOR_FRONTEND_PASSWORD must be equal to executors.accessToken"},
		http.StatusNotFound:            {fault.Operator, "check EXECUTOR_FRONTEND_URL"},
		http.StatusMovedPermanently:    {fault.Operator, "set EXECUTOR_FRONTEND_URL"},
		http.StatusInternalServerError: {fault.Infrastructure, "a failure that the test wants"},
		http.StatusConflict:            {fault.Infrastructure, "a failure that the test wants"},
		http.StatusAccepted:            {fault.Infrastructure, "unexpected status code 202"},
	} {
		frontend, client := frontendClient(t, nil)
		frontend.FailNext("", status, 3)
		_, _, dequeueErr := client.Dequeue(t.Context())
		_, _, heartbeatErr := client.Heartbeat(t.Context(), nil)
		for what, err := range map[string]error{"dequeue": dequeueErr, "heartbeat": heartbeatErr, "ping": client.Ping(t.Context())} {
			var refusal *StatusError
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, status, refusal.Code)
			require.ErrorContains(t, err, what+": unexpected status code ")
			require.ErrorContains(t, err, test.want)
			require.Equal(t, test.class, fault.ClassOf(err), "%s %d", what, status)
		}
	}
}

func TestErrorsNeverShowTokens(t *testing.T) {
	t.Parallel()
	const jobToken = "00112233445566778899aabbccddeeff00112233"
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("your header was\n\t" + r.Header.Get("Authorization") + " " + frontendtest.Token + " \xff" + strings.Repeat("x", 5000)))
	})
	server := httptest.NewServer(echo)
	t.Cleanup(server.Close)
	for _, base := range []string{
		strings.Replace(server.URL, "http://", "http://user:"+frontendtest.Token+"@", 1),
		// Nobody answers there: errors of the transport show the URL.
		"http://user:" + frontendtest.Token + "@127.0.0.1:0/",
	} {
		client := newClient(t, base, server.Client(), nil)
		_, _, dequeueErr := client.Dequeue(t.Context())
		_, fileErr := client.ForJob(api.Job{ID: 1, Token: jobToken}).OpenFile(t.Context(), "b", "k")
		_, entryErr := client.ForJob(api.Job{ID: 1, Token: jobToken}).AddEntry(t.Context(), api.ExecutionLogEntry{})
		for _, err := range []error{dequeueErr, fileErr, entryErr} {
			require.Error(t, err)
			require.NotContains(t, err.Error(), frontendtest.Token)
			require.NotContains(t, err.Error(), jobToken)
			require.Less(t, len(err.Error()), 2*maxShownBody)
		}
	}
	client := newClient(t, server.URL, server.Client(), nil)
	_, _, err := client.Dequeue(t.Context())
	require.ErrorContains(t, err, "502: your header was token-executor REDACTED REDACTED xxx")
	require.True(t, strings.HasSuffix(err.Error(), "x..."))
}

// TestTimeouts uses a deadline of the caller's in place of the call's own, which take minutes.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	client := answering(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := client.exchange(t.Context(), call{what: "test", method: http.MethodPost, path: []string{"x"}, timeout: 1})
	require.ErrorContains(t, err, "no answer within 1ns")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var strangers []string
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { strangers = append(strangers, r.URL.Path) }))
	t.Cleanup(stranger.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, status := r.URL.Path+"/", http.StatusTemporaryRedirect
		switch {
		case strings.HasPrefix(r.URL.Path, "/elsewhere"):
			to = stranger.URL + r.URL.Path + "?secret=1"
		case strings.HasPrefix(r.URL.Path, "/get") && r.Method == http.MethodGet:
			_, _ = w.Write([]byte("{}"))
			return
		case strings.HasPrefix(r.URL.Path, "/get"):
			status = http.StatusFound
		case strings.HasPrefix(r.URL.Path, "/loop"):
			to = r.URL.Path
		case strings.HasSuffix(r.URL.Path, "/"):
			body, _ := io.ReadAll(r.Body)
			var request api.HeartbeatRequest
			if json.Unmarshal(body, &request) == nil && request.ExecutorName == executorName && r.Header.Get("Authorization") != "" {
				_, _ = w.Write([]byte("{}"))
				return
			}
		}
		http.Redirect(w, r, to, status)
	}))
	t.Cleanup(server.Close)

	require.NoError(t, newClient(t, server.URL+"/same", server.Client(), nil).Ping(t.Context()), "a slash more, and the same request")

	err := newClient(t, server.URL+"/elsewhere", server.Client(), nil).Ping(t.Context())
	require.ErrorContains(t, err, "unexpected status code 307")
	require.ErrorContains(t, err, "redirects to "+stranger.URL+"/elsewhere/.executors/queue/batches/heartbeat; set EXECUTOR_FRONTEND_URL")
	require.NotContains(t, err.Error(), "secret")
	require.Empty(t, strangers)

	err = newClient(t, server.URL+"/get", server.Client(), nil).Ping(t.Context())
	require.ErrorContains(t, err, "unexpected status code 302", "a POST must not become a GET")
	require.ErrorContains(t, newClient(t, server.URL+"/loop", server.Client(), nil).Ping(t.Context()), "unexpected status code 307")
}

func TestRedirectPolicy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		from, to string
		follow   bool
	}{
		{"http://frontend/a", "http://frontend/b", true},
		{"http://frontend/a", "https://frontend/a", true},
		{"http://frontend:7080/a", "https://frontend/a", true},
		{"https://frontend/a", "http://frontend/a", false},
		{"https://frontend/a", "https://frontend:8443/a", false},
		{"https://frontend/a", "https://sub.frontend/a", false},
		{"https://sub.frontend/a", "https://frontend/a", false},
	} {
		from, err := url.Parse(test.from)
		require.NoError(t, err)
		to, err := url.Parse(test.to)
		require.NoError(t, err)
		err = checkRedirect(&http.Request{Method: http.MethodGet, URL: to}, []*http.Request{{Method: http.MethodGet, URL: from}})
		require.Equal(t, test.follow, err == nil, "%s -> %s", test.from, test.to)
	}
}

func FuzzHeartbeatAnswers(f *testing.F) {
	for _, body := range []string{`{"knownIds":["1-a",2],"cancelIds":null}`, `{}`, `null`, `{"x":1}`, ``, `{"knownIds":[1e300]}`, "\xff{"} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, multi bool) {
		client := &Client{config: Config{Queue: "a"}}
		uids := []string{"1", "2-a"}
		if multi {
			client.config = Config{Queues: []string{"a"}}
			uids = []string{"1-a", "2-a"}
		}
		running, err := parseUIDs(uids)
		require.NoError(t, err)
		response, err := parseHeartbeat(answer{status: http.StatusOK, body: body})
		if err != nil {
			return
		}
		require.True(t, json.Valid(body))
		known, err := client.translate(running, response.KnownIDs)
		if err == nil {
			require.Subset(t, uids, known)
		}
	})
}
