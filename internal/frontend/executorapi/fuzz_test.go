package executorapi

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/frontend/notify"
)

// FuzzHandler sends any path and body: it never panics, every answer has a type, and a failure says why in JSON.
func FuzzHandler(f *testing.F) {
	bodies := []string{
		`{}`, `null`, `[]`, ``, `{"executorName":"ex-1"}`, `{"executorName":"ex-1","jobId":42,"entryId":1,"key":"k","command":[],"exitCode":0}`,
		`{"executorName":"ex-1","version":"5.2.0","queues":["default","x"]}`, `{"executorName":"ex-1","jobIds":[1,"2",1e3,-0]}`,
		`{"executorName":"ex-1","queueNames":["default"],"jobIdsByQueue":[{"queueName":"default","jobIds":["42"]}],"prometheusMetrics":"a 1\n"}`,
		`{"jobId":9223372036854775808}`, `{"startTime":"yesterday"}`, `{"executorName":{}}`, "{\"executorName\":\"\xff\"}",
	}
	paths := []string{
		"queue/dequeue", "queue/heartbeat", "queue/default/dequeue", "queue/default/heartbeat", "queue/default/addExecutionLogEntry",
		"queue/default/updateExecutionLogEntry", "queue/default/markComplete", "queue/default/markErrored", "queue/default/markFailed",
		"queue/a/b/c", "git/a/info/refs", "git//info/refs", "files/batch-changes//", "queue//dequeue/", "%2e%2e/",
	}
	for i, body := range bodies {
		for j, path := range paths {
			f.Add(path, body, (i+j)%3 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, path, body string, byJobToken bool) {
		queue := newMemory(spec("default"))
		h, err := New(log.NoOp(), queue, &notify.Hub{}, gitEcho{}, Config{Token: token})
		if err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequest("POST", "/", strings.NewReader(body))
		request.URL.Path = Prefix + path
		request.Header.Set("Authorization", "token-executor "+token)
		if byJobToken {
			request.Header.Set("Authorization", "Bearer "+strings.Repeat("ab", 20))
			request.Header.Set(headerJobID, body)
			request.Header.Set(headerExecutor, path)
		}
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, request)
		switch code := recorder.Code; {
		case code == 204:
		case code == 301 || code == 308:
			if location := recorder.Header().Get("Location"); !strings.HasPrefix(location, Prefix) {
				t.Fatalf("redirect to %q", location)
			}
		case recorder.Header().Get("Content-Type") == "":
			t.Fatalf("%d without Content-Type", code)
		case code == 500:
			var said errorBody
			if err := json.Unmarshal(recorder.Body.Bytes(), &said); err != nil || said.Error == "" {
				t.Fatalf("500 with %q", recorder.Body)
			}
		}
	})
}
