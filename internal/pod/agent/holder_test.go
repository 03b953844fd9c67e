package agent

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/vm/channel"
)

func requireHeld(t *testing.T, err error) {
	t.Helper()
	var answer *channel.Error
	require.ErrorAs(t, err, &answer)
	require.Equal(t, channel.ReasonHeld, answer.Reason)
}

func TestAPodIsOneHolders(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, time.Hour)
	stranger := s.visit(t)
	for _, request := range []channel.Request{begin(0), follow(0, 0), {Unpack: &channel.Unpack{}}, {Take: &channel.Take{Path: "x"}}, {Keep: &channel.Keep{}}, {Recall: &channel.Recall{}}} {
		_, err := stranger.Do(t.Context(), request, channel.Streams{})
		requireHeld(t, err)
	}
	_, err := stranger.Do(t.Context(), claim("", 0), channel.Streams{})
	require.NoError(t, err, "it could be had")
	_, err = stranger.Do(t.Context(), begin(0), channel.Streams{})
	requireHeld(t, err)

	first := s.attach(t)
	_, err = s.attach(t).Do(t.Context(), channel.Request{Keep: &channel.Keep{Name: "x"}}, channel.Streams{Input: strings.NewReader("kept")})
	require.NoError(t, err, "a holder may come twice")
	for _, after := range []time.Duration{0, 50 * time.Millisecond} {
		for _, holder := range []string{"", "other"} {
			_, err = stranger.Do(t.Context(), claim(holder, after), channel.Streams{})
			requireHeld(t, err)
		}
	}
	_, err = first.Do(t.Context(), channel.Request{Recall: &channel.Recall{Name: "x"}}, channel.Streams{})
	require.NoError(t, err, "what strangers want changes nothing")
}

// A pod is taken over once its holder has stayed away for long, and then it doesn't get it back.
func TestAPodIsTakenOver(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, time.Hour)
	first := s.attach(t)
	_, err := first.Do(t.Context(), channel.Request{Keep: &channel.Keep{Name: "x"}}, channel.Streams{Input: strings.NewReader("kept")})
	require.NoError(t, err)
	successor := s.visit(t)
	asking, err := successor.Start(claim("", time.Second), channel.Streams{})
	require.NoError(t, err)
	require.NoError(t, first.Close())
	_, err = asking.Wait(t.Context())
	require.NoError(t, err, "it waits for the first to leave")
	_, err = successor.Do(t.Context(), claim("other", time.Millisecond), channel.Streams{})
	require.NoError(t, err)
	var kept bytes.Buffer
	_, err = successor.Do(t.Context(), channel.Request{Recall: &channel.Recall{Name: "x"}}, channel.Streams{Stdout: &kept})
	require.NoError(t, err)
	require.Equal(t, "kept", kept.String())

	late := s.visit(t)
	_, err = late.Do(t.Context(), claim("holder", 0), channel.Streams{})
	requireHeld(t, err)
	require.NoError(t, successor.Close())
	_, err = late.Do(t.Context(), claim("holder", 0), channel.Streams{})
	requireHeld(t, err)
}

// A holder that comes back in time keeps its pod.
func TestAHolderComesBack(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, time.Hour)
	first, other := s.attach(t), s.visit(t)
	call, err := other.Start(claim("other", time.Hour), channel.Streams{})
	require.NoError(t, err)
	require.NoError(t, first.Close())
	s.attach(t)
	select {
	case <-call.Done():
	case <-time.After(100 * time.Millisecond):
		// It came before the agent heard that it had left, which is the same as if it had not.
		require.NoError(t, other.Close())
		return
	}
	_, err = call.Wait(t.Context())
	requireHeld(t, err)
}

// A connection on which nothing comes is over, even if nobody has closed it.
func TestASilentHolderHasLeft(t *testing.T) {
	t.Parallel()
	s := serveWith(t, 1, func(o *Options) { o.Unattended, o.Silence = time.Hour, 200*time.Millisecond })
	alive := s.attach(t) // it pings
	conn := dial(t, s.AttachSocket)
	t.Cleanup(func() { _ = conn.Close() })
	_, err := conn.Read(make([]byte, 1<<10))
	require.NoError(t, err, "the greeting")
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	_, err = alive.Do(t.Context(), channel.Request{Take: &channel.Take{Path: "x"}}, channel.Streams{})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	client := serve(t, 1, time.Hour).attach(t)
	keep := func(name string, size int) error {
		_, err := client.Do(t.Context(), channel.Request{Keep: &channel.Keep{Name: name}}, channel.Streams{Input: bytes.NewReader(make([]byte, size))})
		return err
	}
	require.NoError(t, keep("x", pod.MaxKept))
	require.ErrorContains(t, keep("x", pod.MaxKept+1), "more than")
	for i := range maxNames - 1 {
		require.NoError(t, keep(strings.Repeat("y", i+1), 1))
	}
	require.ErrorContains(t, keep("z", 1), "are kept already")
	require.NoError(t, keep("x", 1))
	_, err := client.Do(t.Context(), channel.Request{Recall: &channel.Recall{Name: "z"}}, channel.Streams{})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A file is taken once, however often the same is asked.
func TestAFileIsRemembered(t *testing.T) {
	t.Parallel()
	s := serve(t, 2, time.Hour)
	client := s.attach(t)
	take := func(number int) (string, error) {
		var taken bytes.Buffer
		_, err := client.Do(t.Context(), channel.Request{Take: &channel.Take{Path: "file", Limit: 1 << 10, Number: number}}, channel.Streams{Stdout: &taken})
		return taken.String(), err
	}
	file := filepath.Join(s.Workspace, "file")
	_, err := take(1)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.WriteFile(file, []byte("second"), 0o644))
	_, err = take(1)
	require.ErrorIs(t, err, fs.ErrNotExist, "as it was then")
	for range 2 {
		taken, err := take(2)
		require.NoError(t, err)
		require.Equal(t, "second", taken)
		require.NoFileExists(t, file)
	}
	_, err = take(0)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
