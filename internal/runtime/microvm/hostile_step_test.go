package microvm

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/vm/channel"
)

// tell makes a guest that writes raw bytes when it is asked for a step, and never answers by itself. The bytes may depend on the step's stream.
func tell(text func(stream uint32) []byte) script {
	return steps(func(ctx context.Context, g *guest, _ channel.Exchange) channel.Result {
		_, _ = g.Write(text(g.stream.Load()))
		<-ctx.Done()
		return channel.Result{}
	})
}

func always(text []byte) func(uint32) []byte { return func(uint32) []byte { return text } }

func TestGuestsThatLoseTheirStep(t *testing.T) {
	t.Parallel()
	result := func(payload string) func(uint32) []byte {
		return func(stream uint32) []byte { return frame(kindResult, stream, payload) }
	}
	for name, c := range map[string]struct {
		play script
		want string
	}{
		"endless frame":      {tell(always(header(kindStdout, 1, 1<<32-1))), "frame of 4294967295 bytes, 65536 are allowed"},
		"frame one too long": {tell(always(header(kindResult, 1, 64<<10+1))), "frame of 65537 bytes, 65536 are allowed"},
		"unknown kind":       {tell(always(frame(11, 1, ""))), "frame of unknown kind 11"},
		"host's kind":        {tell(always(frame(kindRequest, 1, "{}"))), "a guest sends no frame of kind 2"},
		"output of nothing":  {tell(always(frame(kindStdout, 99, "x"))), "frame of stream 99, which is not open"},
		"result of nothing":  {tell(always(frame(kindResult, 99, "{}"))), "frame of stream 99, which is not open"},
		"no JSON":            {tell(result("\x1b[2J{")), "invalid character"},
		"no result":          {tell(result(`{"exitCode":"0"}`)), "cannot unmarshal"},
		"more members":       {tell(result(`{"exitCode":0,"trusted":true}`)), "unknown field"},
		"closes its channel": {steps(func(_ context.Context, g *guest, _ channel.Exchange) channel.Result {
			_ = g.Close()
			return channel.Result{}
		}), "the guest has closed its channel"},
		"monitor dies": {steps(func(_ context.Context, g *guest, _ channel.Exchange) channel.Result {
			g.die()
			return channel.Result{}
		}), "the guest has closed its channel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, step := range []runtime.Step{program, container} {
				f := newFake(t, c.play)
				session, log := f.open(t)
				err := session.Run(t.Context(), step)
				require.ErrorContains(t, err, "the step was lost: its microVM failed: ")
				require.ErrorContains(t, err, c.want)
				require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
				entry := log.Entry(t, step.Key)
				require.Contains(t, entry.Out, "The step was lost: its microVM failed: ")
				require.Contains(t, entry.Out, c.want)
				require.Equal(t, -1, entry.ExitCode)
				require.True(t, f.driver.instances()[0].ended(), "the step may still run")

				// What comes later is lost as well, and says why.
				for _, later := range []runtime.Step{{Key: "step.src.1", Command: []string{"src"}}, {Key: "step.docker.1", Image: "two", Script: "s.sh"}} {
					require.ErrorContains(t, session.Run(t.Context(), later), "the step was lost: its microVM failed: ")
					require.Contains(t, log.Entry(t, later.Key).Out, "The step was lost: its microVM failed: ")
				}
				_, err = session.TakeFile(t.Context(), "file", 1)
				require.ErrorContains(t, err, "taking file from the machine: ")
				require.NoError(t, session.Close(t.Context()))
				log.RequireClosed(t)
			}
		})
	}
}

// Guests that are there, with answers of no use.
func TestGuestsThatAnswerNonsense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		result channel.Result
		want   string
	}{
		"negative exit code":   {channel.Result{ExitCode: -1}, "exit code -1,"},
		"impossible exit code": {channel.Result{ExitCode: 1 << 40}, "exit code 1099511627776,"},
		"bug":                  {channel.Result{Error: &channel.Error{Reason: channel.ReasonGuest, Message: "a bug\nThe step went well."}}, "a bug The step went well."},
		"unknown reason":       {channel.Result{Error: &channel.Error{Reason: "x", Message: strings.Repeat("m", 60<<10)}}, "mmmm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, steps(func(context.Context, *guest, channel.Exchange) channel.Result { return c.result }))
			session, log := f.open(t)
			err := session.Run(t.Context(), program)
			require.ErrorContains(t, err, "the step was lost: its microVM failed: ")
			require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
			entry := log.Entry(t, program.Key)
			require.Regexp(t, `^The step was lost: its microVM failed: .*`+c.want, entry.Out)
			require.Equal(t, 1, strings.Count(entry.Out, "\n"))
			require.Less(t, len(entry.Out), 5<<10)
			require.Equal(t, -1, entry.ExitCode)
			require.NoError(t, session.Close(t.Context()))
		})
	}
}

// An environment that doesn't fit into a request is the job's fault, and the machine is as good as before.
func TestTooMuchEnvironment(t *testing.T) {
	t.Parallel()
	f := newFake(t, honest)
	session, log := f.open(t)
	large := program
	large.Env = []string{"A=" + strings.Repeat("x", channel.MaxRequest)}
	err := session.Run(t.Context(), large)
	require.Equal(t, fault.User, fault.ClassOf(err))
	require.Contains(t, log.Entry(t, program.Key).Out, "The step did not start: the request to the guest: the message is too large")
	require.NoError(t, session.Run(t.Context(), container))
	require.NoError(t, session.Close(t.Context()))
}

// A guest that says nothing any more, while its monitor lives.
func TestGuestsThatFallSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, steps(func(ctx context.Context, g *guest, _ channel.Exchange) channel.Result {
			g.mute.Store(true)
			<-ctx.Done()
			return channel.Result{}
		}))
		log := commandtest.NewLog()
		session := f.openHidden(t, log)
		began := time.Now()
		require.ErrorIs(t, session.Run(t.Context(), program), channel.ErrUnresponsive)
		require.LessOrEqual(t, time.Since(began), 90*time.Second)
		require.Contains(t, log.Entry(t, program.Key).Out, "The step was lost: its microVM failed: the guest does not answer: nothing for 1m0s.\n")
		require.True(t, f.driver.instances()[0].ended(), "the step may still run")
		require.NoError(t, session.Close(t.Context()))
	})
}
