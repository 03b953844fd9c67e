package lifecycle

import (
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sourcegraph/log"
)

// Supervisor is the service manager that started this process and wants to be told how far it is: systemd, for a unit of
// Type=notify (sd_notify(3)). Without one (NOTIFY_SOCKET is not set) its methods do nothing. They return at once, also when
// the service manager does not listen, and are safe for concurrent use.
type Supervisor struct {
	logger log.Logger
	// patience is how long after a sign of life the manager waits for the next; 0 when it waits for none.
	patience time.Duration

	mu    sync.Mutex
	news  []string
	ended bool

	// changed holds one element while there is news to send. It is nil without a service manager.
	changed chan struct{}
	done    chan struct{}
}

// lastWords is how long Close waits for what was said last to be sent.
const lastWords = time.Second

// NewSupervisor finds the service manager in the environment. The caller closes it.
func NewSupervisor(logger log.Logger) *Supervisor {
	s := &Supervisor{logger: logger}
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return s
	}
	var err error
	if s.patience, err = daemon.SdWatchdogEnabled(false); err != nil {
		logger.Error("the service manager wants signs of life, but WATCHDOG_USEC or WATCHDOG_PID can't be read", log.Error(err))
	}
	s.changed = make(chan struct{}, 1)
	s.done = make(chan struct{})
	go s.deliver()
	return s
}

// Ready says that the process does its work now; status is a sentence for people, shown by "systemctl status".
func (s *Supervisor) Ready(status string) { s.say(daemon.SdNotifyReady, line(status)) }

// Status says what the process does.
func (s *Supervisor) Status(status string) { s.say(line(status)) }

// Stopping says that the process has begun to end. That takes its time, and systemd, which stops watching a unit that it stops, goes
// on with the first sign of life after that: it is given at once, so that a process that gets stuck now is found, too.
func (s *Supervisor) Stopping(status string) {
	news := []string{daemon.SdNotifyStopping, line(status)}
	if s.patience > 0 {
		news = append(news, daemon.SdNotifyWatchdog)
	}
	s.say(news...)
}

// Close ends the telling, after what was said before is sent or a second has gone by. Nothing is sent any more afterwards.
func (s *Supervisor) Close() {
	if s.changed == nil {
		return
	}
	s.mu.Lock()
	ended := s.ended
	s.ended = true
	s.mu.Unlock()
	if ended {
		return
	}
	s.wake()
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
		s.logger.Warn("the service manager did not take the last notification")
	}
}

// line is the assignment of a status, on one line as the protocol has it.
func line(status string) string {
	return "STATUS=" + strings.ReplaceAll(status, "\n", " ")
}

// say puts assignments among the news. A status takes the place of one that is not sent yet: while the manager doesn't listen, the
// news don't grow.
func (s *Supervisor) say(assignments ...string) {
	if s.changed == nil {
		return
	}
	s.mu.Lock()
	for _, assignment := range assignments {
		name, _, _ := strings.Cut(assignment, "=")
		kept := s.news[:0]
		for _, earlier := range s.news {
			if !strings.HasPrefix(earlier, name+"=") {
				kept = append(kept, earlier)
			}
		}
		s.news = append(kept, assignment)
	}
	s.mu.Unlock()
	s.wake()
}

func (s *Supervisor) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// deliver sends the news until Close. It alone talks to the manager's socket: that may block.
func (s *Supervisor) deliver() {
	defer close(s.done)
	for range s.changed {
		s.mu.Lock()
		news, ended := s.news, s.ended
		s.news = nil
		s.mu.Unlock()
		if len(news) > 0 {
			if _, err := daemon.SdNotify(false, strings.Join(news, "\n")); err != nil {
				s.logger.Warn("the service manager could not be notified", log.Strings("news", news), log.Error(err))
			}
		}
		if ended {
			return
		}
	}
}
