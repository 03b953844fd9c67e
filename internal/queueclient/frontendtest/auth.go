package frontendtest

import (
	"net/http"
	"strconv"
	"strings"
)

// shared lets requests through that show the shared token (spec section A3).
func shared(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, ok := authorization(r)
		switch {
		case !ok || scheme != "token-executor":
			http.Error(w, "unrecognized authorization scheme, want token-executor", http.StatusUnauthorized)
		case token != Token:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			handler(w, r)
		}
	}
}

// ofJob lets requests through that show the token of a job that allowed holds for, or the shared token (spec section A3).
func (f *Frontend) ofJob(allowed func(*job, *http.Request) bool, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, ok := authorization(r)
		switch {
		case !ok || scheme != "token-executor" && scheme != "Bearer":
			http.Error(w, "unrecognized authorization scheme, want token-executor or Bearer", http.StatusUnauthorized)
			return
		case scheme == "token-executor" && token == Token:
			handler(w, r)
			return
		case scheme == "token-executor":
			w.WriteHeader(http.StatusForbidden)
			return
		}
		id, err := strconv.ParseInt(r.Header.Get("X-Sourcegraph-Job-ID"), 10, 64)
		if err != nil {
			http.Error(w, "missing or invalid job ID header", http.StatusBadRequest)
			return
		}
		if r.Header.Get("X-Sourcegraph-Executor-Name") == "" {
			http.Error(w, "missing executor name header", http.StatusBadRequest)
			return
		}
		if status := f.judge(token, id, r, allowed); status != http.StatusOK {
			http.Error(w, "invalid token", status)
			return
		}
		handler(w, r)
	}
}

func (f *Frontend) judge(token string, id int64, r *http.Request, allowed func(*job, *http.Request) bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, job := range f.jobs {
		switch {
		case job.token == "" || job.token != token:
		case job.ID != id || !allowed(job, r):
			return http.StatusForbidden
		default:
			return http.StatusOK
		}
	}
	return http.StatusUnauthorized
}

func authorization(r *http.Request) (scheme, token string, ok bool) {
	scheme, token, ok = strings.Cut(r.Header.Get("Authorization"), " ")
	return scheme, token, ok && token != "" && !strings.Contains(token, " ")
}
