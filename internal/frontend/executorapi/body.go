package executorapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sourcegraph/log"
)

// Limits of request bodies, in bytes.
const (
	maxBody          = 1 << 20
	maxHeartbeatBody = 16 << 20
	maxLogBody       = 256 << 20
)

// Limits of one request's transfer. The long ones are for logs and for jobs with large files.
const (
	readTimeout    = time.Minute
	readLogTimeout = 5 * time.Minute
	writeTimeout   = 5 * time.Minute
)

type errorBody struct {
	Error string `json:"error"`
}

// decode reads a request's body into payload; on failure it answers, and the operation must not run. What follows the JSON
// value is ignored, as the reference does.
func decode(w http.ResponseWriter, r *http.Request, limit int64, payload any) bool {
	timeout := readTimeout
	if limit > maxHeartbeatBody {
		timeout = readLogTimeout
	}
	// Not every writer has deadlines; then the server's own hold.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(timeout))
	// A read deadline that stays would cut a long poll: the server reads on, to notice a client that goes away.
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()

	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(payload)
	if err == nil {
		return true
	}
	status := http.StatusBadRequest
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		status = http.StatusRequestEntityTooLarge
	}
	http.Error(w, fmt.Sprintf("Failed to unmarshal payload: %s", err), status)
	return false
}

// answerJSON writes a body as JSON.
func answerJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":"the answer can't be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	answer(w, status, raw)
}

// answerEmpty writes a status alone.
func answerEmpty(w http.ResponseWriter, status int) {
	if status != http.StatusNoContent {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	answer(w, status, nil)
}

// answer writes within writeTimeout. A client that is gone is nobody's concern.
func answer(w http.ResponseWriter, status int, body []byte) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
	// The connection may carry a stream next, behind a reverse proxy for example.
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// fail answers that an operation failed. The protocol has one status for that (spec frontend A2.1).
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.logger.Warn("request failed", log.String("path", r.URL.Path), log.Error(err))
	answerJSON(w, http.StatusInternalServerError, errorBody{err.Error()})
}
