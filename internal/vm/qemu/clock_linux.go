package qemu

import (
	"sync"
	"time"
)

const (
	// clockWindow is over what time the counter is measured: an error of the clock's reading of a microsecond is then one of 20 ppm.
	clockWindow = 50 * time.Millisecond
	// readings is how often each end of it is read: the one during which the least time passed was not interrupted.
	readings = 5
)

// frequency is the rate of the host's time stamp counter in kHz; 0 when there is none. The first call takes a moment.
//
// A translated guest reads this counter, which is the only clock that the machine has. Left alone, its kernel measures the counter
// against a timer whose interrupts come late on a busy host; it gives the clock up then, and stops.
var frequency = sync.OnceValue(countTicks)

func countTicks() uint64 {
	if ticks() == 0 {
		return 0
	}
	first, began := reading()
	timer := time.NewTimer(clockWindow)
	<-timer.C
	last, ended := reading()
	return uint64(float64(last-first) / ended.Sub(began).Seconds() / 1000)
}

// reading is the counter and the clock at one moment.
func reading() (count uint64, at time.Time) {
	least := time.Duration(-1)
	for range readings {
		before := time.Now()
		now := ticks()
		if took := time.Since(before); least < 0 || took < least {
			least, count, at = took, now, before.Add(took/2)
		}
	}
	return count, at
}
