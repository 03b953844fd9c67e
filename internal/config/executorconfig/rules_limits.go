package executorconfig

import (
	"fmt"
	"time"
)

// checkLimits holds numbers and durations to what has a meaning.
func checkLimits(l *loader) {
	jobs, pods := l.cfg.Jobs, l.cfg.Kubernetes
	atLeast(l, "EXECUTOR_QUEUE_POLL_INTERVAL", l.cfg.Queues.PollInterval, time.Millisecond)
	atLeast(l, "EXECUTOR_MAXIMUM_NUM_JOBS", jobs.Maximum, 1)
	if !l.cfg.Firecracker.Enabled {
		atLeast(l, "EXECUTOR_JOB_NUM_CPUS", jobs.NumCPUs, 0)
	}
	atLeast(l, "EXECUTOR_FIRECRACKER_BANDWIDTH_INGRESS", l.cfg.Firecracker.BandwidthIngress, 0)
	atLeast(l, "EXECUTOR_FIRECRACKER_BANDWIDTH_EGRESS", l.cfg.Firecracker.BandwidthEgress, 0)
	atLeast(l, "EXECUTOR_MAXIMUM_RUNTIME_PER_JOB", jobs.MaximumRuntime, 0)
	atLeast(l, "EXECUTOR_CLEANUP_TASK_INTERVAL", l.cfg.Firecracker.CleanupInterval, time.Millisecond)
	atLeast(l, "EXECUTOR_NUM_TOTAL_JOBS", jobs.Total, 0)
	atLeast(l, "EXECUTOR_MAX_ACTIVE_TIME", jobs.MaxActiveTime, 0)
	atLeast(l, "KUBERNETES_JOB_DEADLINE", pods.JobDeadlineSeconds, 1)
	atLeast(l, "KUBERNETES_FS_GROUP", pods.FSGroup, 0)
	if size := pods.JobVolume.Size; size.Sign() <= 0 && !l.Failed("KUBERNETES_JOB_VOLUME_SIZE") {
		l.failf("KUBERNETES_JOB_VOLUME_SIZE must be above 0, such as 5Gi, got %q", size.String())
	}
	atLeast(l, "EXECUTOR_STOP_GRACE_PERIOD", jobs.StopGracePeriod, 0)
	atLeast(l, "EXECUTOR_DRAIN_TIMEOUT", jobs.DrainTimeout, 0)
	atLeast(l, "EXECUTOR_DOCKER_PIDS_LIMIT", l.cfg.Docker.PidsLimit, 0)
}

func atLeast[T int | int64 | time.Duration](l *loader, name string, got, least T) {
	if got < least && !l.Failed(name) {
		l.failf("%s must be at least %s, got %s", l.UsedName(name), fmt.Sprint(least), fmt.Sprint(got))
	}
}
