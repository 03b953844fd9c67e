package queueclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

const (
	// fileStallTimeout bounds the wait for a file's next bytes; how long a whole file may take is up to the caller's context.
	fileStallTimeout = time.Minute
	// maxFileBytes bounds one file.
	maxFileBytes = 16 << 30
)

// FileExists reports whether the frontend has a file.
func (j *JobClient) FileExists(ctx context.Context, bucket, key string) (bool, error) {
	call := j.fileCall("Exists", http.MethodHead, bucket, key)
	call.timeout = requestTimeout
	got, err := j.client.exchange(ctx, call)
	var status *StatusError
	switch {
	case errors.As(err, &status) && status.Code == http.StatusNotFound:
		return false, nil
	case err != nil:
		return false, err
	case got.status != http.StatusOK:
		return false, fault.Infrastructuref("%s: %w", call.what, &StatusError{Code: got.status})
	}
	return true, nil
}

// OpenFile streams a file that the frontend keeps. The caller closes it. Reading fails when ctx ends, when nothing comes for a
// minute, when the file is cut short, and beyond 16 GiB.
func (j *JobClient) OpenFile(ctx context.Context, bucket, key string) (file io.ReadCloser, err error) {
	call := j.fileCall("Get", http.MethodGet, bucket, key)
	defer j.client.meter(call)(&err)
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := fmt.Errorf("%s: nothing came for %s", call.what, fileStallTimeout)
	timer := time.AfterFunc(fileStallTimeout, func() { cancel(stalled) })
	response, err := j.client.send(ctx, call)
	timer.Stop()
	if err != nil {
		cancel(nil)
		return nil, err
	}
	stream := &fileStream{
		ctx: ctx, cancel: cancel, timer: timer,
		body: http.MaxBytesReader(nil, response.Body, maxFileBytes),
		what: call.what,
	}
	if response.StatusCode == http.StatusNoContent {
		_ = stream.Close()
		return nil, fault.Infrastructuref("%s: %w", call.what, &StatusError{Code: response.StatusCode})
	}
	return stream, nil
}

func (j *JobClient) fileCall(op, method, bucket, key string) call {
	return call{
		op: op, red: j.client.fileCalls, what: fmt.Sprintf("file %s/%s", bucket, key),
		method: method,
		path:   append([]string{".executors", "files", bucket}, strings.Split(key, "/")...),
		job:    j.job,
		limit:  maxSmallBytes,
	}
}

// fileStream is a response's body whose reads are each bounded in time.
type fileStream struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	body   io.ReadCloser
	what   string
}

func (s *fileStream) Read(p []byte) (int, error) {
	s.timer.Reset(fileStallTimeout)
	n, err := s.body.Read(p)
	s.timer.Stop()
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		err = fmt.Errorf("it is longer than %d bytes", tooLong.Limit)
	case s.ctx.Err() != nil:
		err = context.Cause(s.ctx)
	}
	return n, fault.Infrastructuref("%s: %w", s.what, err)
}

func (s *fileStream) Close() error {
	s.timer.Stop()
	s.cancel(nil)
	return s.body.Close()
}
