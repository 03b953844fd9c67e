package jobsapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// comeBack is how long clients are told to wait before they connect again.
const comeBack = time.Second

// eventWriter writes server-sent events, each at once: nothing is held in memory for slow readers.
type eventWriter struct{ w *answer }

// begin sends the headers, which keep proxies from holding events back, and the time to wait before a reconnect.
func (e *eventWriter) begin() error {
	header := e.w.Header()
	header.Set("Content-Type", typeStream)
	header.Set("X-Accel-Buffering", "no")
	e.w.WriteHeader(http.StatusOK)
	return e.send(fmt.Sprintf("retry: %d\n\n", comeBack.Milliseconds()))
}

// event sends one event; with an id a reader can resume behind it.
func (e *eventWriter) event(name, id string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	return e.send(fmt.Sprintf("event: %s\n%sdata: %s\n\n", name, id, body))
}

// comment sends what readers skip.
func (e *eventWriter) comment(text string) error { return e.send(": " + text + "\n\n") }

func (e *eventWriter) send(text string) error {
	if _, err := e.w.Write([]byte(text)); err != nil {
		return errClientGone
	}
	if err := http.NewResponseController(e.w.ResponseWriter).Flush(); err != nil {
		return errClientGone
	}
	return nil
}
