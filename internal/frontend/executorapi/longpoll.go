package executorapi

import (
	"context"
	"reflect"
	"time"

	"github.com/open-executor/executor/internal/frontend/notify"
)

// watch returns channels of which one closes when one of the queues may have a new job. It is called before looking at the
// store, so that nothing is missed in between.
func (h *Handler) watch(queues []string) []<-chan struct{} {
	channels := make([]<-chan struct{}, 0, len(queues))
	for _, queue := range queues {
		channels = append(channels, h.hub.Wait(notify.Queue(queue)))
	}
	return channels
}

// await returns true when it is worth looking again: a queue changed, or it is time for the slow check. False when the executor's
// patience ends, it went away, or the handler stops.
func (h *Handler) await(ctx context.Context, changed []<-chan struct{}, deadline <-chan time.Time) bool {
	recheck := time.NewTimer(h.config.Recheck)
	defer recheck.Stop()
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(deadline)},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(h.stopping)},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(recheck.C)},
	}
	const endings = 3
	// The number of queues is only known at run time, hence no select statement.
	for _, channel := range changed {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(channel)})
	}
	chosen, _, _ := reflect.Select(cases)
	return chosen >= endings
}
