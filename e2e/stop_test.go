//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

const (
	// grace is the grace period of the executors in these scenarios.
	grace = 2 * time.Second
	// promise is how much longer than that the end of a stopped job may take, with all that was the job's gone.
	promise = 2 * time.Second
)

// place is where the steps run.
type place struct{ runtime, image string }

func onHost() place { return place{"shell", "none"} }

// stop is a way to end a job that runs.
type stop struct {
	// timeout is the jobs' own, and settings the executor's.
	timeout  string
	settings []string
	// do ends the running jobs; exits tells that it ends the executor, too.
	do    func(t *testing.T, s *stage)
	exits bool
	// began is the line of the executor's log from which on time counts; a timeout's begins with the attempt.
	began string
	// log is what the jobs' log says, reason what the jobs say, cause how their attempts ended.
	log, reason, cause string
	state              jobs.State
}

var stops = map[string]stop{
	"cancel": {
		do: func(t *testing.T, s *stage) {
			for _, id := range s.ids {
				_, err := s.frontend.Client.Cancel(harness.Context(t), id)
				require.NoError(t, err)
			}
		},
		began: "job canceled by the frontend",
		log:   "The step was stopped: the job was canceled.\n",
		state: jobs.Canceled, reason: "canceled while it ran", cause: "canceled",
	},
	"deadline": {
		timeout: "4s",
		do:      func(*testing.T, *stage) {},
		log:     "The step was killed by its deadline: deadline of 4s exceeded.\n",
		state:   jobs.Failed, reason: "timed out after 4s", cause: "timeout",
	},
	"second signal": {
		do: func(_ *testing.T, s *stage) {
			s.executor.Signal(syscall.SIGTERM)
			s.executor.AwaitOutput("draining: ")
			s.executor.Signal(syscall.SIGTERM)
		},
		exits: true,
		began: "stopping: running jobs are ended and reported",
		log:   "The step was stopped: the executor is shutting down.\n",
		state: jobs.Failed, reason: `running command "step.docker.0": executor is shutting down`, cause: "errored",
	},
	"drain timeout": {
		settings: []string{"EXECUTOR_DRAIN_TIMEOUT=1s"},
		do:       func(_ *testing.T, s *stage) { s.executor.Signal(syscall.SIGTERM) },
		exits:    true,
		began:    "drain timeout reached, stopping the jobs that still run",
		log:      "The step was stopped: the executor is shutting down.\n",
		state:    jobs.Failed, reason: `running command "step.docker.0": executor is shutting down`, cause: "errored",
	},
}

// However a job is stopped, its processes get SIGTERM and the grace period, its log and state say why it ended, and 2 s after the grace
// period at the latest nothing of it is left.
func TestStoppedJobsLeaveNothing(t *testing.T) {
	t.Parallel()
	testStops(t, onHost())
}

func testStops(t *testing.T, at place) {
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, at, stop)
			stop.do(t, s)
			for i, id := range s.ids {
				job, log := s.frontend.Await(t, id)
				require.Empty(t, s.left(t, i), "left when the job's end was reported")
				require.Equal(t, stop.state, job.State)
				require.Equal(t, stop.reason, job.Reason)
				require.Len(t, job.Attempts, 1)
				require.Equal(t, stop.cause, job.Attempts[0].Cause)
				require.Contains(t, log, stop.log)
				require.NotContains(t, log, "stdout: the next step\n")
				began := job.Attempts[0].StartedAt.Add(4 * time.Second)
				if stop.began != "" {
					began = s.executor.LoggedAt(stop.began)
				}
				require.LessOrEqual(t, job.Attempts[0].EndedAt.Sub(began), grace+promise)
			}
			_, log := s.frontend.Await(t, s.ids[0])
			require.Contains(t, log, "stdout: lock released\n", "a process that ends on SIGTERM has time to do so")
			if !stop.exits {
				s.executor.Signal(syscall.SIGTERM)
			}
			require.Zero(t, s.executor.Wait(harness.Patience))
			require.Empty(t, harness.Residue(t, s.executor.TempDir))
		})
	}
}

// A frontend that is gone can't keep an executor from stopping: it removes what it ran, says so, and leaves the rest to the frontend, which
// finds the job stalled.
func TestStopsWithoutItsFrontend(t *testing.T) {
	t.Parallel()
	s := newStage(t, onHost(), stop{})
	s.frontend.Kill()
	for _, signal := range []string{"draining: ", "stopping: "} {
		s.executor.Signal(syscall.SIGTERM)
		s.executor.AwaitOutput(signal)
	}
	// Some seconds for the log, some for the report.
	require.Zero(t, s.executor.Wait(grace+promise+15*time.Second))
	for i := range s.ids {
		require.Empty(t, s.left(t, i))
	}
	require.Empty(t, harness.Residue(t, s.executor.TempDir))
	require.Contains(t, s.executor.Output(), "reporting the job's end failed; the frontend will find it stalled")
	s.frontend.Restart(t)
	job, err := s.frontend.Client.Job(harness.Context(t), s.ids[0])
	require.NoError(t, err)
	require.Equal(t, jobs.Processing, job.State)
}

// stage is a frontend, an executor, and two jobs that run: the first ends on SIGTERM, the second does not.
type stage struct {
	place
	frontend *harness.Frontend
	executor *harness.Executor
	ids      []int64
	// marks are arguments of the jobs' processes, and of nothing else on this machine.
	marks []string
}

func newStage(t *testing.T, at place, stop stop) *stage {
	s := &stage{place: at, frontend: harness.StartFrontend(t)}
	s.executor = harness.StartExecutor(t, s.frontend.URL, t.TempDir(), at.runtime, append(stop.settings,
		"EXECUTOR_MAXIMUM_NUM_JOBS=2", "EXECUTOR_STOP_GRACE_PERIOD="+grace.String())...)
	for _, script := range []string{polite, stubborn} {
		mark := newMark()
		text := fmt.Sprintf("steps: [{image: %q, run: %q}, {image: %q, run: echo the next step}]\n", at.image, fmt.Sprintf(script, mark), at.image)
		if stop.timeout != "" {
			text += "timeout: " + stop.timeout
		}
		s.marks = append(s.marks, mark)
		s.ids = append(s.ids, s.frontend.Submit(t, text).ID)
	}
	for _, id := range s.ids {
		s.frontend.AwaitLog(t, id, "stdout: started\n")
	}
	return s
}

// left lists what there is of the job: processes, containers, directories, and clients of the Docker engine.
func (s *stage) left(t *testing.T, i int) []string {
	job := fmt.Sprintf("open-executor.job=%d", s.ids[i])
	left := harness.ProcessesWith(t, s.marks[i])
	left = append(left, harness.ProcessesWith(t, fmt.Sprintf("%s/default/%d/", s.executor.Name, s.ids[i]))...)
	if s.runtime == "docker" {
		left = append(left, harness.Containers(t, job, "open-executor.executor="+s.executor.Name)...)
	}
	dirs, err := filepath.Glob(filepath.Join(s.executor.TempDir, fmt.Sprintf("workspace-%d-*", s.ids[i])))
	require.NoError(t, err)
	return append(left, dirs...)
}

// Scripts that run longer than any test; the mark is how long in seconds.
const (
	polite   = `trap "echo lock released; exit" TERM; echo started; sleep %s & wait`
	stubborn = `trap "" TERM; echo started; sleep %s; true`
)

func newMark() string { return fmt.Sprint(1_000_000_000 + rand.IntN(1_000_000_000)) }
