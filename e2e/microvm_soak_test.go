//go:build e2e && vm

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/vm/qemu"
)

// soakJobs is how many jobs the soak has, unless EXECUTOR_TEST_SOAK says otherwise.
const soakJobs = 8

// searching is a job that looks for traces of other jobs, and leaves as many as it can.
const searching = `steps:
  - key: look
    image: %q
    env: {CANARY: canary-%d}
    run: |
      for place in /data/canary /tmp/canary /var/canary /dev/shm/canary /canary; do
        if [ -e $place ]; then echo "LEAK: $place"; exit 9; fi
      done
      if tr '\0' '\n' < /proc/1/environ | grep canary- | grep -v '^CANARY=canary-%d$'; then echo "LEAK: environment"; exit 9; fi
      own=$(ip -4 addr show eth0 | sed -n 's,.*inet \([0-9.]*\)/.*,\1,p')
      echo "address $own"
      for last in 2 6 10 14 18 22; do
        neighbour=${own%%.*}.$last
        { [ $neighbour != $own ] && ping -c 1 -W 1 $neighbour >/dev/null 2>&1 && echo "LEAK: neighbour $neighbour"; } &
      done
      wait
      for place in /data/canary /tmp/canary /dev/shm/canary /canary; do echo canary-%d > $place; done
      sleep 3 & echo clean
`

// Executors and monitors are killed at random while jobs run. No job sees anything of another one, and nothing is left in the end.
func TestMicroVMsAreKilledAtRandom(t *testing.T) {
	count := soakJobs
	if number := os.Getenv("EXECUTOR_TEST_SOAK"); number != "" {
		var err error
		count, err = strconv.Atoi(number)
		require.NoError(t, err)
	}
	m := newMachines(t)
	env := append([]string{"EXECUTOR_MAXIMUM_NUM_JOBS=2", "EXECUTOR_QUEUE_POLL_INTERVAL=100ms"}, m.env...)
	frontend := harness.StartFrontend(t, shortLease)
	var ids []int64
	for i := range count {
		ids = append(ids, frontend.Submit(t, fmt.Sprintf(searching, m.registry.Image, i, i, i)).ID)
	}
	k := &killer{t: t, start: func() *harness.Executor {
		return harness.StartExecutor(t, frontend.URL, m.tempDir, "firecracker", env...)
	}}
	killed := k.run(func() bool { return ended(t, frontend, ids) })
	states, attempts := map[jobs.State]int{}, 0
	for _, id := range ids {
		job, err := frontend.Client.Job(t.Context(), id)
		require.NoError(t, err)
		states[job.State]++
		attempts += len(job.Attempts)
		for _, attempt := range job.Attempts {
			log := frontend.Log(t, id, attempt.Number)
			require.NotContains(t, log, "LEAK", "job %d", id)
			require.True(t, job.State != jobs.Completed || attempt.Number < len(job.Attempts) || strings.Contains(log, "stdout: clean\n"), log)
		}
	}
	t.Logf("%d jobs: %v, %d attempts; killed: %v", count, states, attempts, killed)
	require.Positive(t, states[jobs.Completed])
	m.requireNothingLeft(t)
}

func ended(t *testing.T, frontend *harness.Frontend, ids []int64) bool {
	for _, id := range ids {
		job, err := frontend.Client.Job(t.Context(), id)
		require.NoError(t, err)
		if !job.State.Final() {
			return false
		}
	}
	return true
}

// killer kills, and starts again, an executor and its machines' monitors.
type killer struct {
	t     *testing.T
	start func() *harness.Executor
}

// run kills until done, then lets a last executor clean up, and returns how often it killed what.
func (k *killer) run(done func() bool) map[string]int {
	killed := map[string]int{}
	executor := k.start()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for !done() {
		<-ticker.C
		switch rand.IntN(40) {
		case 0:
			executor.Kill()
			killed["executor"]++
			executor = k.start()
		case 1, 2, 3:
			if monitors := harness.ProcessesWith(k.t, "guest=e2e-"); len(monitors) > 0 {
				pid, err := strconv.Atoi(monitors[rand.IntN(len(monitors))])
				require.NoError(k.t, err)
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may just have ended
				killed["monitor"]++
			}
		}
	}
	executor.Signal(syscall.SIGTERM)
	require.Zero(k.t, executor.Wait(harness.Patience))
	return killed
}

// requireNothingLeft looks for everything that a microVM is made of.
func (m machines) requireNothingLeft(t *testing.T) {
	t.Helper()
	require.Empty(t, harness.ProcessesWith(t, qemu.Program), "processes")
	for what, command := range map[string][]string{"taps": {"ip", "-o", "link"}, "tables": {"nft", "list", "tables"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
		cancel()
		require.NoError(t, err, string(out))
		require.NotContains(t, string(out), "exvm", what)
		require.NotContains(t, string(out), "executor_", what)
	}
	require.Empty(t, harness.Residue(t, m.tempDir))
	entries, err := filepath.Glob(filepath.Join(m.dir, "machines", "e2e-*"))
	require.NoError(t, err)
	require.Empty(t, entries, "directories of machines")
	require.Empty(t, openFilesBelow(t, m.dir), "open files")
}

// openFilesBelow lists what any process has open of the machines of a directory.
func openFilesBelow(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	require.NoError(t, err)
	var found []string
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, dir+"/machines/e2e-") {
			found = append(found, link+" "+target)
		}
	}
	return found
}
