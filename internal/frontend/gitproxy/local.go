package gitproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/sourcegraph/log"
)

// maxComplaint bounds what is kept of git's standard error, in bytes.
const maxComplaint = 4 << 10

var errEncoding = errors.New("want Content-Encoding gzip or none")

// serveLocal answers with git upload-pack itself.
func (s *Server) serveLocal(ctx context.Context, l *link, repository, gitDir string, request gitRequest) {
	noCache(l.w.Header())
	l.w.Header().Set("Content-Type", request.contentType())
	err := s.runUploadPack(ctx, l, gitDir, request)
	if err == nil {
		return
	}
	s.logger.Warn("git request failed", log.String("repository", repository), log.Error(err))
	if l.started {
		// The connection is cut, so that the client can't take a part for the whole.
		panic(http.ErrAbortHandler)
	}
	status, text := localFailure(err)
	http.Error(l.w, text, status)
}

// localFailure is what a client is told; details stay in the log.
func localFailure(err error) (status int, text string) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "git took too long"
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("request is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, errEncoding):
		return http.StatusUnsupportedMediaType, err.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, "request stalled"
	case errors.Is(err, errRequest):
		return http.StatusBadRequest, "request can't be read"
	}
	return http.StatusInternalServerError, "git failed"
}

// errRequest is the cause when the request's body could not be read.
var errRequest = errors.New("reading the request")

// runUploadPack runs git between the two streams and returns when it, and everything that it started, is over. What git says of a request
// stands in its answer, so an exit code alone is no error once there is one: it exits with 128 after the first round of every shallow fetch
// of protocol version 0, for example.
func (s *Server) runUploadPack(ctx context.Context, l *link, gitDir string, request gitRequest) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The inner idle limit is git's own word for the same thing; ours cuts first.
	args := []string{
		"-c", "uploadpack.allowFilter=true",
		"-c", "uploadpack.allowAnySHA1InWant=true",
		"upload-pack", "--strict", "--stateless-rpc", "--timeout=" + strconv.Itoa(int(2*s.config.MaxIdle/time.Second)+1),
	}
	if request.advertise {
		args = append(args, "--http-backend-info-refs")
	}
	cmd := gitCommand(ctx, []string{"GIT_PROTOCOL=" + request.protocol}, append(args, gitDir)...)
	complaint := &head{limit: maxComplaint}
	cmd.Stderr = complaint

	body := io.ReadCloser(http.NoBody)
	if !request.advertise {
		var err error
		if body, err = l.plain(s.config.MaxRequest); err != nil {
			if errors.Is(err, errEncoding) {
				return err
			}
			return fmt.Errorf("%w: %w", errRequest, err)
		}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting git: %w", err)
	}
	fed := make(chan error, 1)
	go func() {
		err := feed(stdin, body)
		if err != nil {
			// Before its input ends: git must not take a part of the request for all of it.
			cancel(err)
		}
		stdin.Close()
		fed <- err
	}()
	_, copyErr := io.Copy(l, prefaced(request, stdout))
	if copyErr != nil {
		cancel(fmt.Errorf("sending the answer: %w", copyErr))
	}
	waitErr := cmd.Wait()
	cause := context.Cause(ctx)
	if !l.drained.Load() && !request.advertise {
		// Git has answered without reading to the end; whoever still feeds it must stop.
		l.stopReading()
	}
	feedErr := <-fed
	switch {
	case errors.Is(cause, context.Canceled) && feedErr != nil:
		// A request that can't be read also ends the client's context, often first; this says more.
		return feedErr
	case cause != nil:
		return cause
	case waitErr != nil && !l.started:
		return fmt.Errorf("git upload-pack: %w: %s", waitErr, complaint)
	case waitErr != nil:
		s.logger.Debug("git upload-pack ended", log.Error(waitErr), log.String("stderr", complaint.String()))
	}
	return nil
}

// feed copies the request into git. That git stops reading is not an error.
func feed(stdin io.Writer, body io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, readErr := body.Read(buffer)
		if _, err := stdin.Write(buffer[:n]); err != nil {
			return nil
		}
		switch {
		case readErr == io.EOF:
			return nil
		case readErr != nil:
			return fmt.Errorf("%w: %w", errRequest, readErr)
		}
	}
}

// prefaced puts the service announcement before the advertisement of protocol versions 0 and 1; version 2 has none.
func prefaced(request gitRequest, stdout io.Reader) io.Reader {
	if !request.advertise || request.version2() {
		return stdout
	}
	return &preface{stdout: stdout}
}

// preface begins with the announcement once git has something to say, so that a git that fails can still be answered by a status.
type preface struct {
	stdout  io.Reader
	pending []byte
	begun   bool
}

func (p *preface) Read(into []byte) (int, error) {
	if len(p.pending) > 0 {
		n := copy(into, p.pending)
		p.pending = p.pending[n:]
		return n, nil
	}
	n, err := p.stdout.Read(into)
	if n > 0 && !p.begun {
		p.begun = true
		p.pending = append(announcement(), into[:n]...)
		n = copy(into, p.pending)
		p.pending = p.pending[n:]
		err = nil
	}
	return n, err
}

// announcement is the packet "# service=git-upload-pack" and a flush packet. A packet begins with its length, itself included, in four
// hexadecimal digits.
func announcement() []byte {
	const line = "# service=" + uploadPack + "\n"
	return fmt.Appendf(nil, "%04x%s0000", len(line)+4, line)
}

func noCache(header http.Header) {
	header.Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	header.Set("Expires", "Fri, 01 Jan 1980 00:00:00 GMT")
	header.Set("Pragma", "no-cache")
}
