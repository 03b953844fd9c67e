package command_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
)

// long is far beyond what any of these tests takes when all is well.
const long = 20 * time.Second

// running is a command that goes on in the background until its test cancels it.
type running struct {
	log    *commandtest.Log
	cancel context.CancelCauseFunc
	result chan error
}

func runInBackground(t *testing.T, spec command.Spec) *running {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &running{log: commandtest.NewLog(), cancel: cancel, result: make(chan error, 1)}
	spec.Key = "step"
	go func() { r.result <- shellRunner().Run(ctx, r.log, spec) }()
	t.Cleanup(func() { cancel(nil) })
	return r
}

// pids reads the numbers of processes that a script printed as "pid=N".
func (r *running) pids(t *testing.T) []int {
	t.Helper()
	var pids []int
	for _, field := range strings.Fields(r.log.Entry(t, "step").Out) {
		if number, ok := strings.CutPrefix(field, "pid="); ok {
			pid, err := strconv.Atoi(number)
			require.NoError(t, err)
			pids = append(pids, pid)
		}
	}
	require.NotEmpty(t, pids)
	return pids
}

func requireGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		require.Eventually(t, func() bool { return !alive(pid) }, 10*time.Second, time.Millisecond, "process %d", pid)
	}
}

// sleeper is a child that has its own signal dispositions by the time it says ready; a bare background command may still be
// between fork and exec then, with the traps of its parent.
const sleeper = `sh -c "echo pid=\$\$; echo ready; exec sleep 1000" & `

var errCanceled = errors.New("job canceled")

func TestCancelEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		grace  time.Duration
		code   int
		out    string
	}{
		"at once without grace": {
			script: `trap "echo polite" TERM; echo pid=$$; ` + sleeper + `while :; do wait; done`,
			code:   -1,
		},
		"by SIGTERM": {
			script: `echo pid=$$; ` + sleeper + `wait`,
			grace:  long, code: -1,
		},
		"with time to clean up": {
			script: `trap "echo cleaned; exit 7" TERM; echo pid=$$; ` + sleeper + `wait`,
			grace:  long, code: 7, out: "stdout: cleaned\n",
		},
		"also when it then claims success": {
			script: `trap "exit 0" TERM; echo pid=$$; echo ready; while :; do sleep 0.01; done`,
			grace:  long, code: 0,
		},
		"by SIGKILL after the grace period": {
			script: `trap "" TERM; echo pid=$$; ` + sleeper + `while :; do sleep 0.01; done`,
			grace:  50 * time.Millisecond, code: -1,
		},
		"children having their grace when the leader dies at once": {
			script: `sh -c 'trap "sleep 0.2; echo released; exit" TERM; echo pid=$$; echo ready; while :; do sleep 0.01; done'; exit 1`,
			grace:  long, code: -1, out: "stdout: released\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runInBackground(t, command.Spec{Words: shell(test.script), Grace: test.grace})
			r.log.Await(t, "step", "ready\n")
			pids := r.pids(t)
			r.cancel(errCanceled)
			require.Equal(t, errCanceled, <-r.result)
			entry := r.log.Entry(t, "step")
			require.Equal(t, test.code, entry.ExitCode)
			// The shell may complain on stderr about its children's death.
			_, after, _ := strings.Cut(entry.Out, "ready\n")
			require.Equal(t, test.out != "", strings.Contains(after, "stdout: "), after)
			require.Contains(t, after, test.out)
			requireGone(t, pids)
		})
	}
}

func TestDeadlineIsTheCause(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	log := commandtest.NewLog()
	err := shellRunner().Run(ctx, log, command.Spec{Key: "step", Words: shell("sleep 1000")})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, -1, log.Entry(t, "step").ExitCode)
}

func TestStopReplacesTheSignals(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "stop")
	calls := 0
	script := `trap "echo signal" TERM; (trap "" TERM; exec sleep 1000 >/dev/null 2>&1) & echo pid=$$ pid=$!; echo ready
		while [ ! -e "$1" ]; do sleep 0.01; done; echo stopped; exit 9`
	r := runInBackground(t, command.Spec{
		Words: shell(script, file),
		Grace: long,
		Stop: func(exited <-chan struct{}) {
			calls++
			select {
			case <-exited:
				t.Error("exited before it was stopped")
			default:
			}
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Error(err)
			}
			<-exited
		},
	})
	r.log.Await(t, "step", "ready\n")
	pids := r.pids(t)
	r.cancel(errCanceled)
	require.Equal(t, errCanceled, <-r.result)
	entry := r.log.Entry(t, "step")
	require.True(t, strings.HasSuffix(entry.Out, "ready\nstdout: stopped\n"), entry.Out)
	require.Equal(t, 9, entry.ExitCode)
	require.Equal(t, 1, calls)
	requireGone(t, pids)
}

func TestWhatStopLeavesIsKilled(t *testing.T) {
	t.Parallel()
	r := runInBackground(t, command.Spec{Words: shell(`echo pid=$$; echo ready; sleep 1000`), Stop: func(<-chan struct{}) {}})
	r.log.Await(t, "step", "ready\n")
	r.cancel(errCanceled)
	require.Equal(t, errCanceled, <-r.result)
	requireGone(t, r.pids(t))
}

func TestLeftoversDoNotOutliveTheirLeader(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"silent":             `sleep 1000 >/dev/null 2>&1 & echo pid=$!`,
		"holding the output": `sleep 1000 & echo pid=$!`,
		"deaf":               `(trap "" TERM HUP; exec sleep 1000) & echo pid=$!`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runInBackground(t, command.Spec{Words: shell(script)})
			require.NoError(t, <-r.result)
			require.Zero(t, r.log.Entry(t, "step").ExitCode)
			requireGone(t, r.pids(t))
		})
	}
}

// A process that has left the group is out of reach here (the runtimes find it by its mark), but must not hold Run up.
func TestAStrayHolderOfTheOutputIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	log := commandtest.NewLog()
	runner := command.Runner{Allowed: []string{os.Args[0]}}
	err := runner.Run(t.Context(), log, command.Spec{Key: "step", Words: []string{os.Args[0], helperStray}})
	require.NoError(t, err)
	pids := (&running{log: log}).pids(t)
	require.True(t, alive(pids[0]))
	require.NoError(t, syscall.Kill(pids[0], syscall.SIGKILL))
}
