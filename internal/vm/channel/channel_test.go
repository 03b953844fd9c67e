package channel

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect joins a client to a guest that works with handler.
func connect(t *testing.T, handler Handler) *Client {
	t.Helper()
	host, guest := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- Serve(context.Background(), guest, handler) }()
	client, err := Connect(t.Context(), host, Timing{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, client.Close())
		require.Error(t, <-served)
		require.NoError(t, guest.Close())
	})
	return client
}

func echo(_ context.Context, x Exchange) Result {
	if _, err := io.Copy(x.Stdout, x.Input); err != nil {
		return Result{Error: &Error{Reason: ReasonGuest, Message: err.Error()}}
	}
	_, _ = io.WriteString(x.Stderr, x.Request.Write.Path)
	return Result{ExitCode: 7}
}

func TestRequestsCarryInputAndOutput(t *testing.T) {
	t.Parallel()
	client := connect(t, echo)
	var out, errs strings.Builder
	input := strings.Repeat("0123456789abcdef", 1<<16) // a megabyte: many frames
	result, err := client.Do(t.Context(), Request{Write: &Write{Path: "file"}}, Streams{Input: strings.NewReader(input), Stdout: &out, Stderr: &errs})
	require.NoError(t, err)
	require.Equal(t, 7, result.ExitCode)
	require.Equal(t, input, out.String())
	require.Equal(t, "file", errs.String())
}

func TestRequestsGoOnSideBySide(t *testing.T) {
	t.Parallel()
	client := connect(t, func(_ context.Context, x Exchange) Result {
		if x.Request.Program != nil {
			return Result{ExitCode: int((<-x.Signals).Number)}
		}
		return Result{ExitCode: 1}
	})
	long, err := client.Start(Request{Program: &Program{}}, Streams{})
	require.NoError(t, err)
	result, err := client.Do(t.Context(), Request{PowerOff: &PowerOff{}}, Streams{})
	require.NoError(t, err)
	require.Equal(t, 1, result.ExitCode)
	ended, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	_, err = long.Wait(ended)
	require.ErrorIs(t, err, cause, "the request goes on")
	require.NoError(t, long.Signal(Signal{Number: syscall.SIGTERM}))
	result, err = long.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, int(syscall.SIGTERM), result.ExitCode)
	require.NoError(t, long.Signal(Signal{Number: syscall.SIGTERM}), "one that comes too late is lost")
}

func TestLargeEnvironments(t *testing.T) {
	t.Parallel()
	client := connect(t, func(_ context.Context, x Exchange) Result { return Result{ExitCode: len(x.Request.Container.Env[0])} })
	result, err := client.Do(t.Context(), Request{Container: &Container{Env: []string{strings.Repeat("x", 1<<20)}}}, Streams{})
	require.NoError(t, err)
	require.Equal(t, 1<<20, result.ExitCode)
	_, err = client.Do(t.Context(), Request{Container: &Container{Env: []string{strings.Repeat("x", MaxRequest)}}}, Streams{})
	require.ErrorContains(t, err, "shorten the environment")
	require.Equal(t, fault.User, fault.ClassOf(err))
}

func TestErrorsHaveClasses(t *testing.T) {
	t.Parallel()
	client := connect(t, func(_ context.Context, x Exchange) Result {
		return Result{Error: &Error{Reason: x.Request.Take.Path, Message: strings.Repeat("m", 2*maxMessage)}}
	})
	for reason, class := range map[string]fault.Class{
		ReasonUser: fault.User, ReasonStart: fault.User, ReasonGuest: fault.Infrastructure, ReasonNotExist: fault.Infrastructure,
	} {
		_, err := client.Do(t.Context(), Request{Take: &Take{Path: reason}}, Streams{})
		require.Equal(t, class, fault.ClassOf(err), reason)
		require.Equal(t, reason == ReasonNotExist, errors.Is(err, fs.ErrNotExist))
		require.Len(t, err.Error(), maxMessage)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestBrokenStreamsFailTheCallAlone(t *testing.T) {
	t.Parallel()
	client := connect(t, echo)
	full, torn := errors.New("full"), errors.New("torn")
	_, err := client.Do(t.Context(), Request{Write: &Write{}}, Streams{Input: strings.NewReader("text"), Stdout: brokenWriter{full}})
	require.ErrorIs(t, err, full)
	_, err = client.Do(t.Context(), Request{Write: &Write{}}, Streams{Input: io.MultiReader(strings.NewReader("text"), brokenReader{torn})})
	require.ErrorIs(t, err, torn)
	_, err = client.Do(t.Context(), Request{Write: &Write{}}, Streams{Input: strings.NewReader("text")})
	require.NoError(t, err)
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

func TestTheEndOfTheConnectionEndsAllCalls(t *testing.T) {
	t.Parallel()
	host, guest := net.Pipe()
	ended := make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- Serve(context.Background(), guest, func(ctx context.Context, x Exchange) Result {
			<-ctx.Done()
			_, open := <-x.Signals
			if !open {
				close(ended)
			}
			return Result{}
		})
	}()
	client, err := Connect(t.Context(), host, Timing{})
	require.NoError(t, err)
	call, err := client.Start(Request{PowerOff: &PowerOff{}}, Streams{})
	require.NoError(t, err)
	require.NoError(t, client.Close())
	<-client.Done()
	_, err = call.Wait(t.Context())
	require.ErrorIs(t, err, net.ErrClosed)
	require.Error(t, <-served)
	<-ended
	_, err = client.Start(Request{PowerOff: &PowerOff{}}, Streams{})
	require.ErrorIs(t, err, net.ErrClosed)
	require.NoError(t, guest.Close())
}
