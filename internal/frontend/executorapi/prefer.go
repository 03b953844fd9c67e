package executorapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Extensions are the additions that this frontend announces to executors that ask for one of them (docs/protocol.md): job members
// "attempt" and "timeoutMs", dequeues that wait for a job, and heartbeats that wait for a cancel, and log
// entries that are added once however often they are sent.
const Extensions = "attempts, timeouts, long-poll, heartbeat-wait, idempotent-log"

// preferredWait reads the wait preference of RFC 7240, in whole seconds; the first one counts. Others are ignored, and so is one that
// makes no sense.
func preferredWait(header http.Header) (wait time.Duration, ok bool) {
	for _, line := range header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value = strings.Trim(strings.TrimSpace(value), `"`)
			seconds, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return 0, false
			}
			return time.Duration(seconds) * time.Second, true
		}
	}
	return 0, false
}
