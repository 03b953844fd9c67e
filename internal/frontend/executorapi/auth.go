package executorapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/store"
)

const (
	schemeShared = "token-executor"
	schemeJob    = "Bearer"

	headerJobID    = "X-Sourcegraph-Job-ID"
	headerExecutor = "X-Sourcegraph-Executor-Name"

	// jobTokenSize is the number of random bytes of a job token.
	jobTokenSize = 20
)

// newJobToken returns a token as the executor gets it, in hexadecimal, and the hash of its raw bytes, which alone is stored.
func newJobToken() (token string, hash [32]byte) {
	raw := make([]byte, jobTokenSize)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw), sha256.Sum256(raw)
}

// caller is who makes a request on a J route.
type caller struct {
	// lease is what a job token was good for; nil for the shared token, which is bound to nothing.
	lease *store.Lease
}

// errForeignBody is a body that speaks of another job, or in another executor's name, than the job token allows.
var errForeignBody = errors.New("invalid token")

// holder is the lease that the caller acts upon, given the request's body. A job token's must match the body.
func (c caller) holder(queue string, op api.JobOperation) (store.Holder, error) {
	if c.lease == nil {
		return store.Holder{JobID: op.JobID, Queue: queue, Executor: op.ExecutorName}, nil
	}
	if op.JobID != c.lease.JobID {
		return store.Holder{}, fmt.Errorf("%w: it is for job %d, the body names job %d", errForeignBody, c.lease.JobID, op.JobID)
	}
	if op.ExecutorName != c.lease.Executor {
		return store.Holder{}, fmt.Errorf("%w: it is for executor %q, the body names %q", errForeignBody, c.lease.Executor, op.ExecutorName)
	}
	return store.Holder{JobID: c.lease.JobID, Queue: c.lease.Queue, Executor: c.lease.Executor, Attempt: c.lease.Attempt}, nil
}

// shared guards a G route (spec frontend A3, first table).
func (h *Handler) shared(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if h.config.Token == "" {
			http.Error(w, "Executors are not configured on this instance", http.StatusInternalServerError)
			return
		}
		scheme, token, err := authorization(r)
		if err == nil && scheme != schemeShared {
			err = fmt.Errorf("unsupported authorization scheme: this endpoint takes %q", schemeShared)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if !h.isShared(token) {
			answerEmpty(w, http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

// job guards a J route (spec frontend A3, second table). Allowed tells whether a lease covers what the path names.
func (h *Handler) job(allowed func(store.Lease) bool, next func(http.ResponseWriter, *http.Request, caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, err := authorization(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		switch scheme {
		case schemeShared:
			if h.config.Token == "" || !h.isShared(token) {
				answerEmpty(w, http.StatusForbidden)
				return
			}
			next(w, r, caller{})
		case schemeJob:
			lease, refused := h.leaseOfToken(r, token)
			if refused == nil && !allowed(lease) {
				refused = &refusal{http.StatusForbidden, "invalid token"}
			}
			if refused != nil {
				http.Error(w, refused.text, refused.status)
				return
			}
			next(w, r, caller{lease: &lease})
		default:
			http.Error(w, fmt.Sprintf("unsupported authorization scheme: this endpoint takes %q and %q", schemeJob, schemeShared), http.StatusUnauthorized)
		}
	}
}

type refusal struct {
	status int
	text   string
}

// leaseOfToken finds the live lease of a job token and checks that job and executor are those in the headers.
func (h *Handler) leaseOfToken(r *http.Request, token string) (store.Lease, *refusal) {
	jobID, err := strconv.ParseInt(r.Header.Get(headerJobID), 10, 64)
	if err != nil {
		return store.Lease{}, &refusal{http.StatusBadRequest, headerJobID + " header must hold a job id, a decimal integer"}
	}
	executor := r.Header.Get(headerExecutor)
	if executor == "" {
		return store.Lease{}, &refusal{http.StatusBadRequest, headerExecutor + " header must not be empty"}
	}
	raw, err := hex.DecodeString(token)
	if err != nil || len(raw) != jobTokenSize {
		return store.Lease{}, &refusal{http.StatusUnauthorized, "invalid token"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	lease, err := h.store.Token(ctx, sha256.Sum256(raw))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Lease{}, &refusal{http.StatusUnauthorized, "invalid token"}
	case err != nil:
		h.logger.Error("looking up a job token failed", log.Int64("jobID", jobID), log.Error(err))
		return store.Lease{}, &refusal{http.StatusInternalServerError, "looking up the token failed"}
	case lease.JobID != jobID:
		return store.Lease{}, &refusal{http.StatusForbidden, "invalid token"}
	case lease.Executor != executor:
		return store.Lease{}, h.wrongExecutor(ctx, executor)
	}
	return lease, nil
}

// wrongExecutor tells an executor that nobody has ever heard of from one that uses another's token.
func (h *Handler) wrongExecutor(ctx context.Context, name string) *refusal {
	seen, err := h.store.Executors(ctx)
	known := slices.ContainsFunc(seen, func(e store.Executor) bool { return e.Name == name })
	if err != nil || !known {
		return &refusal{http.StatusUnauthorized, "unknown executor"}
	}
	return &refusal{http.StatusForbidden, "invalid token"}
}

// isShared compares in constant time, whatever the lengths.
func (h *Handler) isShared(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(h.config.Token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// authorization splits the Authorization header.
func authorization(r *http.Request) (scheme, token string, err error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", "", errors.New("no token in the Authorization header")
	}
	parts := strings.Split(header, " ")
	if len(parts) != 2 {
		return "", "", errors.New(`the Authorization header must have the form "<scheme> <token>"`)
	}
	if parts[1] == "" {
		return "", "", errors.New("no token in the Authorization header")
	}
	return parts[0], parts[1], nil
}
