package microvm

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/vm/channel"
)

// A job with more images than its machine has drives for: the one unused for longest goes, and the guest is told which ones it has already.
func TestImagesTakeTurns(t *testing.T) {
	t.Parallel()
	asked := make(chan channel.Container, 1)
	f := newFake(t, steps(func(_ context.Context, _ *guest, x channel.Exchange) channel.Result {
		asked <- *x.Request.Container
		return channel.Result{}
	}))
	log := commandtest.NewLog()
	job := f.job(t, log)
	job.Steps = []runtime.Step{{Image: "one"}} // fetched beside the boot, and inserted if it is there in time: that makes no difference here
	opened, err := f.Open(t.Context(), job)
	require.NoError(t, err)
	// The first one is mounted ahead if it was there in time.
	ahead := opened.(*session).machine.mounted[0]
	for i, step := range []struct {
		image string
		drive int
		same  bool
	}{
		{"one", firstImageDrive, ahead},
		{"one", firstImageDrive, true},
		{"two", firstImageDrive + 1, false},
		{"three", firstImageDrive + 2, false},
		{"one", firstImageDrive, true},
		{"four", firstImageDrive + 1, false},
		{"three", firstImageDrive + 2, true},
		{"two", firstImageDrive, false},
		{"four", firstImageDrive + 1, true},
	} {
		require.NoError(t, opened.Run(t.Context(), runtime.Step{Key: "step.docker.0", Image: step.image, Script: "s.sh"}))
		got := <-asked
		require.Equal(t, step.drive, got.Drive, "step %d", i)
		require.Equal(t, step.same, got.Same, "step %d", i)
	}
	require.Len(t, f.driver.instances()[0].swapped, imageDrives)
	require.NoError(t, opened.Close(t.Context()))
	log.RequireClosed(t)
}
