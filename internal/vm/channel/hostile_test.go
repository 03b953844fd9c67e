package channel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// bytesOf are frames as they go over the wire.
func bytesOf(frames ...frame) []byte {
	var all []byte
	for _, f := range frames {
		all = appendFrame(all, f.kind, f.stream, f.payload)
	}
	return all
}

var greeting = frame{kindHello, 0, []byte(`{"version":2}`)}

// hostileGuest writes what it is given and drops what it is sent.
func hostileGuest(t *testing.T, says ...[]byte) net.Conn {
	t.Helper()
	host, guest := net.Pipe()
	done := make(chan struct{}, 2)
	go func() {
		_, _ = io.Copy(io.Discard, guest)
		done <- struct{}{}
	}()
	go func() {
		for _, text := range says {
			_, _ = guest.Write(text)
		}
		done <- struct{}{}
	}()
	t.Cleanup(func() {
		require.NoError(t, guest.Close())
		<-done
		<-done
	})
	return host
}

func TestGuestsThatGreetWrongly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says []byte
		want string
	}{
		"other kind":    {bytesOf(frame{kindPong, 0, nil}), "it began with a frame of kind"},
		"unknown kind":  {bytesOf(frame{kindLast + 1, 0, nil}), "unknown kind"},
		"kind 0":        {bytesOf(frame{0, 0, nil}), "unknown kind 0"},
		"other version": {bytesOf(frame{kindHello, 0, []byte(`{"version":1}`)}), "it speaks version 1, this host 2"},
		"no JSON":       {bytesOf(frame{kindHello, 0, []byte(`{`)}), "unexpected EOF"},
		"more members":  {bytesOf(frame{kindHello, 0, []byte(`{"version":2,"x":1}`)}), "unknown field"},
		"two messages":  {bytesOf(frame{kindHello, 0, []byte(`{"version":2}{}`)}), "more than one message"},
		"long":          {binary.BigEndian.AppendUint32([]byte{byte(kindHello), 0, 0, 0, 0}, 1<<31), "2147483648 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Connect(t.Context(), hostileGuest(t, c.says), Timing{})
			require.ErrorIs(t, err, ErrProtocol)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestGuestsThatNeverGreet(t *testing.T) {
	t.Parallel()
	cause := errors.New("it took too long")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
	defer cancel()
	_, err := Connect(ctx, hostileGuest(t, bytesOf(greeting)[:3]), Timing{})
	require.ErrorIs(t, err, cause)
	require.ErrorContains(t, err, "waiting for the guest agent")
}

func TestGuestsThatBreakTheProtocolLater(t *testing.T) {
	t.Parallel()
	result := frame{kindResult, 1, []byte(`{}`)}
	for name, c := range map[string]struct {
		frames []frame
		want   string
	}{
		"result of nothing":  {[]frame{{kindResult, 2, []byte(`{}`)}}, "stream 2, which is not open"},
		"two results":        {[]frame{result, result}, "stream 1, which is not open"},
		"output of nothing":  {[]frame{{kindStdout, 77, []byte("x")}}, "stream 77"},
		"host's frame":       {[]frame{{kindRequest, 1, []byte(`{}`)}}, "a guest sends no frame of kind"},
		"another hello":      {[]frame{greeting}, "a guest sends no frame of kind"},
		"result not to read": {[]frame{{kindResult, 1, []byte(`{"exitCode":"x"}`)}}, "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := make(chan struct{})
			host, guest := net.Pipe()
			wrote := make(chan struct{})
			go func() {
				defer close(wrote)
				_, _ = guest.Write(bytesOf(greeting))
				<-started
				_, _ = guest.Write(bytesOf(c.frames...))
				_, _ = io.Copy(io.Discard, guest)
			}()
			client, err := Connect(t.Context(), host, Timing{})
			require.NoError(t, err)
			begun := make(chan *Call, 1)
			go func() {
				call, _ := client.Start(Request{PowerOff: &PowerOff{}}, Streams{})
				begun <- call
			}()
			_, err = (&reader{from: guest, limit: MaxRequest}).next()
			require.NoError(t, err)
			call := <-begun
			require.NotNil(t, call)
			close(started)
			<-client.Done()
			require.ErrorIs(t, client.Err(), ErrProtocol)
			require.ErrorContains(t, client.Err(), c.want)
			require.NoError(t, client.Close())
			<-wrote
			require.NoError(t, guest.Close())
		})
	}
}

func TestGuestsThatFallSilent(t *testing.T) {
	t.Parallel()
	client, err := Connect(t.Context(), hostileGuest(t, bytesOf(greeting)), Timing{Silence: 40 * time.Millisecond})
	require.NoError(t, err)
	call, err := client.Start(Request{PowerOff: &PowerOff{}}, Streams{})
	require.NoError(t, err)
	_, err = call.Wait(t.Context())
	require.ErrorIs(t, err, ErrUnresponsive)
	require.NoError(t, client.Close())
}

// A guest that is never silent is asked only by a steady host.
func TestSteadyHostsAskGuestsThatSpeak(t *testing.T) {
	t.Parallel()
	for _, steady := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			host, guest := net.Pipe()
			asked := make(chan int, 1)
			go func() {
				count := 0
				for from := (&reader{from: guest, limit: MaxRequest}); ; count++ {
					if _, err := from.next(); err != nil {
						asked <- count
						return
					}
				}
			}()
			spoken := make(chan struct{})
			go func() {
				defer close(spoken)
				_, _ = guest.Write(bytesOf(greeting))
				for ticker := time.NewTicker(100 * time.Millisecond); ; <-ticker.C {
					if _, err := guest.Write(bytesOf(frame{kindPong, 0, nil})); err != nil {
						ticker.Stop()
						return
					}
				}
			}()
			client, err := Connect(t.Context(), host, Timing{Silence: 8 * time.Second, Steady: steady})
			require.NoError(t, err)
			time.Sleep(time.Minute + time.Second)
			require.NoError(t, client.Close())
			<-spoken
			want := 0
			if steady {
				want = 30
			}
			require.Equal(t, want, <-asked)
		})
	}
}

func TestGuestsThatDoNotRead(t *testing.T) {
	t.Parallel()
	host, guest := net.Pipe()
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = guest.Write(bytesOf(greeting))
	}()
	client, err := Connect(t.Context(), host, Timing{Write: 20 * time.Millisecond})
	require.NoError(t, err)
	<-wrote
	_, err = client.Start(Request{PowerOff: &PowerOff{}}, Streams{})
	require.ErrorContains(t, err, "sending to the guest")
	<-client.Done()
	require.NoError(t, client.Close())
	require.NoError(t, guest.Close())
}

// FuzzHost: whatever a guest says, the host neither hangs nor keeps more than a frame of it.
func FuzzHost(f *testing.F) {
	f.Add(bytesOf(greeting, frame{kindStdout, 1, []byte("x")}, frame{kindResult, 1, []byte(`{"exitCode":3}`)}))
	f.Add(bytesOf(greeting, frame{kindPong, 0, nil}, frame{kindStderr, 1, nil}))
	f.Fuzz(func(t *testing.T, says []byte) {
		host, guest := net.Pipe()
		done := make(chan struct{}, 2)
		go func() {
			_, _ = guest.Write(says)
			_ = guest.Close()
			done <- struct{}{}
		}()
		go func() {
			_, _ = io.Copy(io.Discard, guest)
			done <- struct{}{}
		}()
		client, err := Connect(t.Context(), host, Timing{})
		if err == nil {
			var out strings.Builder
			if call, err := client.Start(Request{PowerOff: &PowerOff{}}, Streams{Stdout: &out}); err == nil {
				_, _ = call.Wait(t.Context())
			}
			<-client.Done()
			if out.Len() > len(says) {
				t.Errorf("%d bytes of output from %d", out.Len(), len(says))
			}
			_ = client.Close()
		}
		<-done
		<-done
	})
}

// FuzzGuest: whatever a host says, the guest answers in whole frames and ends with the connection.
func FuzzGuest(f *testing.F) {
	f.Add(bytesOf(frame{kindRequest, 1, []byte(`{"write":{"path":"x"}}`)}, frame{kindInput, 1, []byte("x")}, frame{kindInputEnd, 1, nil}))
	f.Add(bytesOf(frame{kindPing, 0, nil}, frame{kindSignal, 1, []byte(`{"number":15}`)}))
	f.Fuzz(func(t *testing.T, says []byte) {
		var answers bytes.Buffer
		err := Serve(t.Context(), struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(says), &answers}, func(_ context.Context, x Exchange) Result {
			_, _ = io.Copy(x.Stdout, x.Input)
			return Result{}
		})
		if err == nil {
			t.Error("it ended without a reason")
		}
		for from := (&reader{from: &answers, limit: MaxPayload}); ; {
			if _, err := from.next(); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				break
			}
		}
	})
}
