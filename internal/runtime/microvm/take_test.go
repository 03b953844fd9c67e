package microvm

import (
	"context"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm/channel"
)

const takeLimit = 1 << 10

func TestFilesOfHostileGuests(t *testing.T) {
	fails := func(reason, message string) script {
		return steps(func(context.Context, *guest, channel.Exchange) channel.Result {
			return channel.Result{Error: &channel.Error{Reason: reason, Message: message}}
		})
	}
	sends := func(size int) script {
		text := strings.Repeat("x", size)
		return steps(func(_ context.Context, _ *guest, x channel.Exchange) channel.Result {
			_, _ = io.WriteString(x.Stdout, text)
			return channel.Result{}
		})
	}
	for name, c := range map[string]struct {
		play  script
		want  string
		class fault.Class
	}{
		"one byte too many": {sends(takeLimit + 1), "taking out from the machine: the guest sent more than 1024 bytes", fault.User},
		"megabytes":         {sends(16 << 20), "taking out from the machine: the guest sent more than 1024 bytes", fault.User},
		"endless": {steps(func(_ context.Context, _ *guest, x channel.Exchange) channel.Result {
			flood(x, nil)
			return channel.Result{}
		}), "taking out from the machine: the guest sent more than 1024 bytes", fault.User},
		"trickle beyond the limit": {steps(func(ctx context.Context, _ *guest, x channel.Exchange) channel.Result {
			for range takeLimit + 1 {
				_, _ = x.Stdout.Write([]byte("x"))
			}
			<-ctx.Done()
			return channel.Result{}
		}), "taking out from the machine: the guest sent more than 1024 bytes", fault.User},
		"long error":   {fails(channel.ReasonGuest, strings.Repeat("m", 32<<10)), "taking out from the machine: mmm", fault.Infrastructure},
		"user's error": {fails(channel.ReasonUser, "it is a symlink"), "taking out from the machine: it is a symlink", fault.User},
		"endless error": {tell(func(stream uint32) []byte {
			return frame(kindResult, stream, `{"error":{"reason":"user","message":"`+strings.Repeat("m", 1<<20)+`"}}`)
		}), "taking out from the machine: the peer breaks the protocol: frame of 1048", fault.Infrastructure},
		"dies": {steps(func(_ context.Context, g *guest, _ channel.Exchange) channel.Result {
			g.die()
			return channel.Result{}
		}), "taking out from the machine: the guest has closed its channel", fault.Infrastructure},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, c.play)
			session, _ := f.open(t)
			began := time.Now()
			var err error
			require.Less(t, allocates(func() { _, err = session.TakeFile(t.Context(), "out", takeLimit) }), uint64(20<<20), "the bytes that the guest converts are among them")
			require.Less(t, time.Since(began), askTime/2)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.class, fault.ClassOf(err))
			require.Less(t, len(err.Error()), 5<<10)
			require.NotErrorIs(t, err, fs.ErrNotExist)
			require.NoError(t, session.Close(t.Context()))
		})
	}
}

func TestFilesThatAreNotThere(t *testing.T) {
	t.Parallel()
	f := newFake(t, steps(func(_ context.Context, _ *guest, x channel.Exchange) channel.Result {
		if x.Request.Take == nil {
			return channel.Result{}
		}
		return channel.Result{Error: &channel.Error{Reason: channel.ReasonNotExist, Message: "elsewhere"}}
	}))
	session, _ := f.open(t)
	_, err := session.TakeFile(t.Context(), "out", takeLimit)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "out: file does not exist")
	require.NoError(t, session.Run(t.Context(), program), "that is no reason to give the machine up")
	require.NoError(t, session.Close(t.Context()))
}

func TestFilesThatFit(t *testing.T) {
	t.Parallel()
	f := newFake(t, steps(func(_ context.Context, _ *guest, x channel.Exchange) channel.Result {
		_, _ = io.WriteString(x.Stdout, strings.Repeat("x", int(x.Request.Take.Limit)))
		_, _ = io.WriteString(x.Stderr, "no part of it")
		return channel.Result{}
	}))
	session, _ := f.open(t)
	content, err := session.TakeFile(t.Context(), "out", takeLimit)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("x", takeLimit), string(content))
	require.NoError(t, session.Close(t.Context()))
}

func TestFilesThatNeverCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, mute(func(r channel.Request) bool { return r.Take != nil }))
		session := f.openHidden(t, commandtest.NewLog())
		began := time.Now()
		_, err := session.TakeFile(t.Context(), "out", takeLimit)
		require.EqualError(t, err, "taking out from the machine: the guest agent did not answer within 1m0s")
		require.Equal(t, askTime, time.Since(began))
		require.NoError(t, session.Close(t.Context()))
	})
}
