package workspace

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"unicode"
)

// reasons remembers what went wrong between the git proxy and the frontend, for the job's log (which masks the credentials,
// should the frontend repeat them). Safe for concurrent use.
type reasons struct {
	mu      sync.Mutex
	knocked bool
	text    string
}

// knock records that git came with the right credentials.
func (r *reasons) knock() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.knocked = true
}

func (r *reasons) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.knocked {
		return "git did not get through to the executor's proxy. That takes git 2.31 or newer with support for HTTP; see `git version`."
	}
	return r.text
}

func (r *reasons) set(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = text
}

var errRedirect = errors.New("redirect")

// inspect looks at each answer of the frontend.
func (r *reasons) inspect(response *http.Response) error {
	switch {
	case response.StatusCode < 300:
		r.set("")
		return nil
	case response.StatusCode < 400:
		r.set(fmt.Sprintf("The frontend redirects git requests to %q, which the executor doesn't follow: EXECUTOR_FRONTEND_URL must be the "+
			"address where it answers itself.", response.Header.Get("Location")))
		return errRedirect
	}
	r.set(fmt.Sprintf("The frontend answered the git request with status %s%s.", response.Status, explanation(response)))
	if response.StatusCode == http.StatusUnauthorized {
		// Git would ask for a password, and then complain that it can't.
		response.StatusCode, response.Status = http.StatusForbidden, ""
		response.Header.Del("WWW-Authenticate")
	}
	return nil
}

// unreachable answers a request that got no usable answer from the frontend.
func (r *reasons) unreachable(w http.ResponseWriter, request *http.Request, err error) {
	if request.Context().Err() == nil && !errors.Is(err, errRedirect) {
		r.set(fmt.Sprintf("The frontend could not be reached: %s.", err))
	}
	w.WriteHeader(http.StatusBadGateway)
}

// explanation returns the first line of a plain error message, and leaves it in the response.
func explanation(response *http.Response) string {
	if response.Header.Get("Content-Encoding") != "" {
		return ""
	}
	const most = 300
	start, _ := io.ReadAll(io.LimitReader(response.Body, most))
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(string(start)), response.Body), response.Body}
	line, _, _ := strings.Cut(strings.TrimSpace(strings.ToValidUTF8(string(start), "")), "\n")
	line = strings.Map(func(char rune) rune {
		if unicode.IsControl(char) {
			return -1
		}
		return char
	}, line)
	if line == "" || strings.HasPrefix(line, "<") {
		return ""
	}
	return ": " + strings.TrimSuffix(line, ".")
}
