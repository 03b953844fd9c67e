package gitproxy

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/sourcegraph/log"
)

// uploadPack is the only service offered: fetch and clone.
const uploadPack = "git-upload-pack"

// Config says what is served and within which bounds. Zero bounds mean the defaults.
type Config struct {
	// Repositories by name; they take precedence over Dir.
	Repositories map[string]Repository
	// Dir is a directory below which every bare or plain repository is served by its relative path, with or without its ".git" suffix.
	Dir string
	// MaxConcurrent bounds the requests served at a time (32); others wait up to MaxQueueing (1 min), then get 503.
	MaxConcurrent int
	MaxQueueing   time.Duration
	// MaxRequest bounds a request's body in bytes, also when unpacked (16 MiB).
	MaxRequest int64
	// MaxDuration bounds one request (1 h), and MaxIdle the time in which a client neither sends nor takes a byte (2 min).
	MaxDuration, MaxIdle time.Duration
}

// Server serves and resolves repositories. Safe for concurrent use.
type Server struct {
	logger   log.Logger
	config   Config
	registry registry
	slots    chan struct{}
	client   *http.Client
}

// New makes a server. Errors are of the operator class and name the repository.
func New(logger log.Logger, config Config) (*Server, error) {
	repositories, err := newRegistry(config.Repositories, config.Dir)
	if err != nil {
		return nil, err
	}
	orDefault(&config.MaxConcurrent, 32)
	orDefault(&config.MaxQueueing, time.Minute)
	orDefault(&config.MaxRequest, 16<<20)
	orDefault(&config.MaxDuration, time.Hour)
	orDefault(&config.MaxIdle, 2*time.Minute)
	return &Server{
		logger:   logger,
		config:   config,
		registry: repositories,
		slots:    make(chan struct{}, config.MaxConcurrent),
		client:   newClient(),
	}, nil
}

func orDefault[T int | int64 | time.Duration](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}

// Close drops idle connections to remotes; running requests end with their own contexts.
func (s *Server) Close() { s.client.CloseIdleConnections() }

// ServeGit answers "info/refs" and "git-upload-pack" of a repository. The caller has checked that the client may read it.
func (s *Server) ServeGit(w http.ResponseWriter, r *http.Request, repository, endpoint string) {
	request, refused := check(r, endpoint)
	if refused != nil {
		refused.answer(w)
		return
	}
	target, ok := s.registry.find(repository)
	if !ok {
		http.Error(w, fmt.Sprintf("repository %q is not known here", repository), http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.config.MaxDuration)
	defer cancel()
	if !s.enter(ctx) {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many git requests at a time; try again later", http.StatusServiceUnavailable)
		return
	}
	defer func() { <-s.slots }()
	s.logger.Debug("serving", log.String("repository", repository), log.String("endpoint", endpoint), log.String("protocol", request.protocol))

	link := newLink(w, r, s.config.MaxIdle)
	defer link.release()
	if target.remote != nil {
		s.serveRemote(ctx, link, repository, *target.remote, request)
		return
	}
	s.serveLocal(ctx, link, repository, target.gitDir, request)
}

// enter waits for its turn.
func (s *Server) enter(ctx context.Context) bool {
	patience := time.NewTimer(s.config.MaxQueueing)
	defer patience.Stop()
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ctx.Done():
	case <-patience.C:
	}
	return false
}

// gitRequest is one request, checked.
type gitRequest struct {
	// advertise is set for info/refs; else it is a call of upload-pack.
	advertise bool
	// protocol is the value of the Git-Protocol header, "version=2" for example.
	protocol string
}

// version2 reports whether git will speak protocol version 2: the highest version that the client names counts.
func (g gitRequest) version2() bool {
	for parameter := range strings.SplitSeq(g.protocol, ":") {
		if parameter == "version=2" {
			return true
		}
	}
	return false
}

// contentType is that of the answer.
func (g gitRequest) contentType() string {
	if g.advertise {
		return "application/x-git-upload-pack-advertisement"
	}
	return "application/x-git-upload-pack-result"
}

// refusal is an answer in place of git's.
type refusal struct {
	status int
	text   string
	allow  string
}

func (f *refusal) answer(w http.ResponseWriter) {
	if f.allow != "" {
		w.Header().Set("Allow", f.allow)
	}
	http.Error(w, f.text, f.status)
}

var gitProtocol = regexp.MustCompile(`^[A-Za-z0-9=:._-]{0,100}$`)

// check refuses what is not a fetch over the smart protocol before anything else happens.
func check(r *http.Request, endpoint string) (gitRequest, *refusal) {
	request := gitRequest{protocol: r.Header.Get("Git-Protocol")}
	if !gitProtocol.MatchString(request.protocol) {
		return request, &refusal{status: http.StatusBadRequest, text: "Git-Protocol header is malformed"}
	}
	switch endpoint {
	case "info/refs":
		request.advertise = true
		if r.Method != http.MethodGet {
			return request, &refusal{http.StatusMethodNotAllowed, "method not allowed", http.MethodGet}
		}
		if service := r.URL.Query().Get("service"); service != uploadPack {
			return request, &refusal{status: http.StatusForbidden, text: "only git's smart HTTP protocol and only fetching is served: want service=" + uploadPack}
		}
	case uploadPack:
		if r.Method != http.MethodPost {
			return request, &refusal{http.StatusMethodNotAllowed, "method not allowed", http.MethodPost}
		}
		if got, want := r.Header.Get("Content-Type"), "application/x-git-upload-pack-request"; got != want {
			return request, &refusal{status: http.StatusUnsupportedMediaType, text: "want Content-Type " + want}
		}
	default:
		return request, &refusal{status: http.StatusNotFound, text: "no such git endpoint"}
	}
	return request, nil
}
