package gitproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sourcegraph/log"
)

// Headers that pass between a git client and a remote; all others stay here, first of all credentials, cookies and challenges.
var (
	requestHeaders  = []string{"Accept", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Content-Type", "Git-Protocol", "User-Agent"}
	responseHeaders = []string{"Cache-Control", "Content-Encoding", "Content-Length", "Content-Type", "Expires", "Pragma"}
)

// newClient makes a client that follows no redirect: credentials go to the host that the operator named and to no other.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout:    15 * time.Second,
			ResponseHeaderTimeout:  2 * time.Minute,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    8,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
			// The body passes as it is, packed or not.
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// serveRemote passes one request on, with the operator's credentials, and streams the answer back.
func (s *Server) serveRemote(ctx context.Context, l *link, repository string, remote Repository, request gitRequest) {
	outgoing, err := s.remoteRequest(ctx, l, remote, request)
	if err != nil {
		s.logger.Error("remote repository can't be asked", log.String("repository", repository), log.Error(err))
		http.Error(l.w, "the remote repository can't be asked", http.StatusBadGateway)
		return
	}
	defer outgoing.Body.Close()
	response, err := s.client.Do(outgoing)
	if err != nil {
		s.remoteFailure(l, repository, err)
		return
	}
	defer response.Body.Close()
	if status, text := judge(response, request); status != http.StatusOK {
		s.logger.Warn("remote repository refused", log.String("repository", repository), log.String("url", remote.URL),
			log.Int("status", response.StatusCode), log.String("contentType", response.Header.Get("Content-Type")), log.String("reason", text))
		http.Error(l.w, text, status)
		return
	}
	for _, name := range responseHeaders {
		if value := response.Header.Get(name); value != "" {
			l.w.Header().Set(name, value)
		}
	}
	if _, err := io.Copy(l, response.Body); err != nil {
		// The connection is cut, so that the client can't take a part for the whole.
		s.logger.Warn("answer of a remote repository broke off", log.String("repository", repository), log.Error(err))
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) remoteRequest(ctx context.Context, l *link, remote Repository, request gitRequest) (*http.Request, error) {
	url := strings.TrimSuffix(remote.URL, "/")
	method, body := http.MethodPost, l.raw(s.config.MaxRequest)
	if request.advertise {
		method, body, url = http.MethodGet, http.NoBody, url+"/info/refs?service="+uploadPack
	} else {
		url += "/" + uploadPack
	}
	outgoing, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if !request.advertise {
		outgoing.ContentLength = l.r.ContentLength
	}
	for _, name := range requestHeaders {
		if value := l.r.Header.Get(name); value != "" {
			outgoing.Header.Set(name, value)
		}
	}
	if remote.Username != "" || remote.Password != "" {
		outgoing.SetBasicAuth(remote.Username, remote.Password)
	}
	return outgoing, nil
}

// judge decides what a remote's answer means for an executor, which can do nothing about credentials or redirects.
func judge(response *http.Response, request gitRequest) (status int, text string) {
	location := response.Header.Get("Location")
	switch code := response.StatusCode; {
	case code == http.StatusOK && response.Header.Get("Content-Type") != request.contentType():
		return http.StatusBadGateway, "the remote's answer is not git's; is its URL that of a repository?"
	case code == http.StatusOK:
		return http.StatusOK, ""
	case code == http.StatusNotFound:
		return http.StatusNotFound, "the remote does not know the repository, or its credentials do not open it"
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return http.StatusBadGateway, "the remote refuses the frontend's credentials"
	case location != "":
		return http.StatusBadGateway, "the remote has moved; the frontend's operator has to name its new URL"
	default:
		return http.StatusBadGateway, fmt.Sprintf("the remote answered with status %d", code)
	}
}

func (s *Server) remoteFailure(l *link, repository string, err error) {
	s.logger.Warn("asking a remote repository failed", log.String("repository", repository), log.Error(err))
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &tooLarge):
		http.Error(l.w, fmt.Sprintf("request is larger than %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
	case errors.Is(err, os.ErrDeadlineExceeded):
		http.Error(l.w, "request stalled", http.StatusRequestTimeout)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		http.Error(l.w, "the remote took too long", http.StatusGatewayTimeout)
	default:
		http.Error(l.w, "the remote can't be reached", http.StatusBadGateway)
	}
}
