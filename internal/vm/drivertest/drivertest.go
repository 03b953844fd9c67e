// Package drivertest is the conformance kit of drivers: an implementation of vm.Driver earns its place by passing Run.
package drivertest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/channel"
)

// patience bounds each wait: a guest boots on a busy machine, without KVM perhaps.
const patience = time.Minute

// Harness is what the kit needs to test a driver.
type Harness struct {
	// Driver is under test.
	Driver vm.Driver
	// Machine is one that can be started, with a name of its own at each call. Its drive 0 is read only, drive 1 is not. Its guest speaks the agent's
	// protocol and carries out PowerOff.
	Machine func(t *testing.T) vm.Machine
	// Another opens a file that fits a drive of it.
	Another func(t *testing.T, drive int) *os.File
	// Kill kills the monitor of a machine with SIGKILL.
	Kill func(t *testing.T, instance vm.Instance)
	// RequireNothing fails the test when anything is left of any machine.
	RequireNothing func(t *testing.T)
}

// Run tests a driver. NewHarness is called once for each test.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	t.Helper()
	for _, part := range []struct {
		name string
		test func(t *testing.T, h Harness)
	}{
		{"Life", testLife},
		{"Swap", testSwap},
		{"PowerOff", testPowerOff},
		{"KilledMonitor", testKilledMonitor},
		{"EndedContext", testEndedContext},
		{"ContextAfterStart", testContextAfterStart},
		{"MissingKernel", testMissingKernel},
		{"TwoMachines", testTwoMachines},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			part.test(t, h)
			h.RequireNothing(t)
		})
	}
}

// guest is a machine whose agent has spoken.
type guest struct {
	vm.Instance
	client *channel.Client
}

func (h Harness) start(ctx context.Context, t *testing.T, machine vm.Machine) guest {
	t.Helper()
	instance, err := h.Driver.Start(ctx, machine)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, instance.Close()) })
	hello, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := channel.Connect(hello, instance.Channel(), channel.Timing{})
	require.NoError(t, err, "%s", instance.Console())
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return guest{instance, client}
}

// within fails the test when a channel isn't closed in time.
func within(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		require.FailNow(t, what)
	}
}

func testLife(t *testing.T, h Harness) {
	g := h.start(t.Context(), t, h.Machine(t))
	select {
	case <-g.Done():
		require.FailNow(t, "it has ended", "%s", g.Console())
	default:
	}
	require.NoError(t, g.Close())
	within(t, g.Done(), "Close leaves a machine")
	within(t, g.client.Done(), "the channel outlives its machine")
	require.NoError(t, g.Close(), "it may be called more than once")
	require.LessOrEqual(t, len(g.Console()), 128<<10, "the guest's and the monitor's words are bounded")
	require.Error(t, g.Swap(t.Context(), 0, h.Another(t, 0)))
}

func testSwap(t *testing.T, h Harness) {
	g := h.start(t.Context(), t, h.Machine(t))
	for range 3 {
		for drive := range 2 {
			file := h.Another(t, drive)
			require.NoError(t, g.Swap(t.Context(), drive, file), "drive %d", drive)
			require.NoError(t, file.Close(), "the driver has its own")
		}
	}
	cause := errors.New("enough")
	ended, end := context.WithCancelCause(t.Context())
	end(cause)
	require.ErrorIs(t, g.Swap(ended, 0, h.Another(t, 0)), cause)
	for _, after := range []time.Duration{0, 100 * time.Microsecond, time.Millisecond, 3 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_ = g.Swap(ctx, 0, h.Another(t, 0)) // it may be carried out or not
		cancel()
		require.NoError(t, g.Swap(t.Context(), 0, h.Another(t, 0)), "after one that ended within %s", after)
	}
	for _, drive := range []int{-1, 9} {
		require.Error(t, g.Swap(t.Context(), drive, h.Another(t, 0)), "drive %d", drive)
	}
	require.NoError(t, g.Close())
}

// A guest that powers off ends its machine, and nobody else has to.
func testPowerOff(t *testing.T, h Harness) {
	g := h.start(t.Context(), t, h.Machine(t))
	_, err := g.client.Start(channel.Request{PowerOff: &channel.PowerOff{}}, channel.Streams{})
	require.NoError(t, err)
	within(t, g.Done(), "the machine goes on without its guest")
	h.RequireNothing(t)
}

func testKilledMonitor(t *testing.T, h Harness) {
	g := h.start(t.Context(), t, h.Machine(t))
	h.Kill(t, g.Instance)
	within(t, g.Done(), "nobody has noticed")
	within(t, g.client.Done(), "the channel outlives its machine")
	h.RequireNothing(t)
	require.NoError(t, g.Close())
}

func testEndedContext(t *testing.T, h Harness) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	instance, err := h.Driver.Start(ctx, h.Machine(t))
	require.ErrorIs(t, err, cause)
	require.True(t, instance == nil, "not even one of a type: callers compare with nil")
}

func testContextAfterStart(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	g := h.start(ctx, t, h.Machine(t))
	cancel()
	require.NoError(t, g.Swap(t.Context(), 0, h.Another(t, 0)), "the machine lives")
	require.NoError(t, g.Close())
}

func testMissingKernel(t *testing.T, h Harness) {
	machine := h.Machine(t)
	machine.Kernel = filepath.Join(t.TempDir(), "missing")
	instance, err := h.Driver.Start(t.Context(), machine)
	require.ErrorContains(t, err, machine.Kernel)
	require.True(t, instance == nil, "not even one of a type: callers compare with nil")
}

// The end of one machine is nothing to another one.
func testTwoMachines(t *testing.T, h Harness) {
	one, other := h.start(t.Context(), t, h.Machine(t)), h.start(t.Context(), t, h.Machine(t))
	h.Kill(t, one.Instance)
	within(t, one.Done(), "nobody has noticed")
	require.NoError(t, one.Close())
	require.NoError(t, other.Swap(t.Context(), 0, h.Another(t, 0)), "the other one lives")
	require.NoError(t, other.Close())
}
