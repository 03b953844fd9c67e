package microvm

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/vm/channel"
)

// refuse makes a guest that answers one kind of request with an error, and others well.
func refuse(this func(channel.Request) bool, message string) script {
	return serve(func(_ context.Context, _ *guest, x channel.Exchange) channel.Result {
		if this(x.Request) {
			return channel.Result{Error: &channel.Error{Reason: channel.ReasonGuest, Message: message}}
		}
		return channel.Result{}
	})
}

// mute makes a guest that never answers one kind of request.
func mute(this func(channel.Request) bool) script {
	return serve(func(ctx context.Context, _ *guest, x channel.Exchange) channel.Result {
		if this(x.Request) {
			_, _ = io.Copy(io.Discard, x.Input) // which ends with the host's, or with the connection
			<-ctx.Done()
		}
		return channel.Result{}
	})
}

func isConfigure(r channel.Request) bool { return r.Configure != nil }
func isWorkspace(r channel.Request) bool { return r.Workspace != nil }
func isWarm(r channel.Request) bool      { return r.Warm != nil }
func isUnpack(r channel.Request) bool    { return r.Unpack != nil }
func isUnmount(r channel.Request) bool   { return r.Workspace != nil && r.Workspace.Drive == 0 }

// isSecondMount tells the second request that mounts a disk: the job's, in a machine of the pool.
func isSecondMount() func(r channel.Request) bool {
	var mounts atomic.Int64
	return func(r channel.Request) bool { return isWorkspace(r) && !isUnmount(r) && mounts.Add(1) == 2 }
}

func TestGuestsThatDoNotComeUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		play script
		want string
	}{
		"silent":             {func(context.Context, *guest) {}, "microVM: booting it: waiting for the guest agent: not done after 3m0s"},
		"half a hello":       {say(header(kindHello, 0, 9)), "microVM: booting it: waiting for the guest agent: not done after 3m0s"},
		"closes its channel": {func(_ context.Context, g *guest) { _ = g.Close() }, "microVM: booting it: waiting for the guest agent: EOF"},
		"monitor dies":       {func(_ context.Context, g *guest) { g.die() }, "microVM: booting it: waiting for the guest agent: EOF"},
		"other version":      {say(frame(kindHello, 0, `{"version":7}`)), "microVM: booting it: the peer breaks the protocol: it speaks version 7, this host 2"},
		"no hello":           {say(frame(kindStdout, 1, "x")), "microVM: booting it: the peer breaks the protocol: it began with a frame of kind 6"},
		"long hello":         {say(header(kindHello, 0, 1<<32-1)), "microVM: booting it: waiting for the guest agent: the peer breaks the protocol: frame of 4294967295 bytes"},
		"garbage":            {say(bytes.Repeat([]byte("\xfe\x00garbage"), 1<<16)), "microVM: booting it: waiting for the guest agent: the peer breaks the protocol: frame of unknown kind 254"},
		"no configuration":   {mute(isConfigure), "microVM: setting it up: the guest agent did not answer within 1m0s"},
		"refuses to be set up": {
			refuse(isConfigure, "no "+strings.Repeat("x", 1<<20)),
			"microVM: setting it up: no xxx",
		},
		"no workspace":        {mute(isWorkspace), "mounting the job's disk: the guest agent did not answer within 1m0s"},
		"refuses a workspace": {refuse(isWorkspace, "bad superblock"), "mounting the job's disk: bad superblock"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, func(ctx context.Context, g *guest) {
					_, _ = g.instance.console.Write([]byte("\x1b[2Jpanic\x00: \xffno init\r\n"))
					c.play(ctx, g)
				})
				log := commandtest.NewLog()
				began := time.Now()
				_, err := f.Open(t.Context(), f.job(t, log))
				require.ErrorContains(t, err, "failed to start firecracker vm: "+c.want)
				require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
				require.LessOrEqual(t, time.Since(began), bootTime+askTime)
				entry := log.Entry(t, startKey)
				require.True(t, entry.Closed)
				require.Equal(t, 1, entry.ExitCode)
				require.Contains(t, entry.Out, "failed to start firecracker vm: "+c.want)
				require.Contains(t, entry.Out, "The guest's console ends with:\n  ?[2Jpanic?: ?no init\n")
				require.Less(t, len(entry.Out), 8<<10)
				require.Len(t, f.driver.instances(), 1)
				require.True(t, f.driver.instances()[0].ended())
			})
		})
	}
}

// A job that is stopped while its machine boots doesn't wait for it.
func TestStoppedWhileBooting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(context.Context, *guest) {})
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := time.AfterFunc(time.Second, func() { cancel(runtime.ErrCanceled) })
		defer stop.Stop()
		began := time.Now()
		_, err := f.Open(ctx, f.job(t, commandtest.NewLog()))
		require.ErrorIs(t, err, runtime.ErrCanceled)
		require.Equal(t, time.Second, time.Since(began))
	})
}

// The console never ends, and most of it is no text.
func TestEndlessConsoles(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	f := newFake(t, func(ctx context.Context, g *guest) {
		for i := 0; ; i++ {
			_, _ = g.instance.console.Write(all)
			switch {
			case i == 1000:
				_ = g.Close()
			case ctx.Err() != nil:
				return
			}
		}
	})
	log := commandtest.NewLog()
	var err error
	require.Less(t, allocates(func() { _, err = f.Open(t.Context(), f.job(t, log)) }), uint64(8<<20))
	require.ErrorContains(t, err, "microVM: booting it: waiting for the guest agent: EOF")
	_, shown, found := strings.Cut(log.Entry(t, startKey).Out, "The guest's console ends with:\n")
	require.True(t, found)
	require.Empty(t, strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return -1
		}
		return r
	}, shown))
	console, _, found := strings.Cut(shown, "failed to start firecracker vm:")
	require.True(t, found)
	require.LessOrEqual(t, strings.Count(console, "\n"), consoleLines)
	require.Positive(t, strings.Count(console, "\n"))
}
