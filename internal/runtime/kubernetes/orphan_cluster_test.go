//go:build cluster

package kubernetes

import (
	"context"
	"io/fs"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
)

// An executor that is cut off loses its job to the next one of its pool, which goes on with it. When it comes back it hears so, and touches nothing.
func TestASuccessorTakesOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pool := uuid.NewString()
	first, front := s.behindFront(t, func(o *Options) { o.Pool = pool })
	log := commandtest.NewLog()
	job := first.job(t, log, "echo up; while [ ! -e go ]; do sleep 0.1; done; echo $(ls)")
	opened, err := first.runtime.Open(t.Context(), job)
	require.NoError(t, err)
	require.NoError(t, opened.(runtime.Keeper).Keep(t.Context(), "x", []byte("kept")))
	lost := make(chan error, 1)
	go func() { lost <- opened.Run(t.Context(), job.Steps[0]) }()
	log.Await(t, job.Steps[0].Key, "up")

	beside := s.executor(t, func(o *Options) { o.Pool = pool })
	require.Equal(t, beside.name, beside.runtime.Executor(), "the first one lives")
	require.Empty(t, beside.runtime.Orphans())

	front.let(false)
	stranger := s.executor(t, func(o *Options) { o.Pool = uuid.NewString() })
	require.Empty(t, stranger.runtime.Orphans(), "of another pool")
	successor := s.executor(t, func(o *Options) { o.Pool = pool })
	require.Equal(t, first.name, successor.runtime.Executor())
	require.Len(t, successor.runtime.Orphans(), 1)
	orphan := successor.runtime.Orphans()[0]
	content, err := orphan.Recall(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, "kept", string(content))
	_, err = orphan.Recall(t.Context(), "y")
	require.ErrorIs(t, err, fs.ErrNotExist)
	resumed := commandtest.NewLog()
	again := job
	again.Log, again.WorkspaceDir = resumed, ""
	session, err := orphan.Resume(t.Context(), again)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- session.Run(t.Context(), job.Steps[0]) }()
	resumed.Await(t, job.Steps[0].Key, "up")

	front.let(true)
	require.ErrorIs(t, <-lost, runtime.ErrLeaseLost)
	require.Equal(t, "stdout: up\n", log.Entry(t, job.Steps[0].Key).Out, "it says nothing about what is another's")
	require.NoError(t, opened.Close(context.Background()))
	removed, err := first.runtime.Reap(t.Context())
	require.NoError(t, err)
	require.Zero(t, removed)

	require.NoError(t, put(t.Context(), session, "go", nil))
	require.NoError(t, <-ended)
	require.Equal(t, "stdout: up\nstdout: go\n", resumed.Entry(t, job.Steps[0].Key).Out)
	require.NoError(t, session.Close(context.Background()))
	first.requireNothingLeft(t)
}

// What a successor can't go on with it removes.
func TestAnOrphanIsDiscarded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pool := uuid.NewString()
	first, log := s.executor(t, func(o *Options) { o.Pool = pool }), commandtest.NewLog()
	for range 3 {
		opened, err := first.runtime.Open(t.Context(), first.job(t, log, ""))
		require.NoError(t, err)
		opened.(*session).disconnect()
	}
	successor := s.executor(t, func(o *Options) { o.Pool = pool })
	require.Len(t, successor.runtime.Orphans(), 3)
	for _, orphan := range successor.runtime.Orphans() {
		_, err := orphan.Recall(t.Context(), "job")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, orphan.Discard(t.Context()))
	}
	first.requireNothingLeft(t)
}

// Jobs that are kept have ended: nobody goes on with them, and nothing removes them.
func TestKeptJobsAreNoOrphans(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pool := uuid.NewString()
	first, log := s.executor(t, func(o *Options) { o.Pool, o.Keep = pool, true }), commandtest.NewLog()
	job := first.job(t, log, "echo up")
	opened, err := first.runtime.Open(t.Context(), job)
	require.NoError(t, err)
	require.NoError(t, opened.Run(t.Context(), job.Steps[0]))
	require.NoError(t, opened.Close(t.Context()))
	_, err = first.runtime.Reap(t.Context())
	require.NoError(t, err)
	require.Empty(t, s.executor(t, func(o *Options) { o.Pool = pool }).runtime.Orphans())
	kept, err := s.client.BatchV1().Jobs(s.namespace).Get(t.Context(), opened.(*session).name, metav1.GetOptions{})
	require.NoError(t, err)
	require.Nil(t, kept.Spec.TTLSecondsAfterFinished)
	require.Zero(t, kept.Status.Failed)
}

// An executor whose pod is gone is waited for: its process may end a little later.
func TestADyingExecutorIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pool := uuid.NewString()
	first, front := s.behindFront(t, func(o *Options) { o.Pool = pool })
	log := commandtest.NewLog()
	_, err := first.runtime.Open(t.Context(), first.job(t, log, ""))
	require.NoError(t, err)
	_, err = s.client.CoreV1().Pods(s.namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "successor"},
		Spec: corev1.PodSpec{
			NodeSelector:    map[string]string{"nowhere": "yes"},
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{Name: "x", Image: s.image, SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	options := first.runtime.options
	options.Orphaned = 300 * time.Millisecond
	time.AfterFunc(2*time.Second, func() { front.let(false) })
	began := time.Now()
	successor, err := New(t.Context(), first.runtime.logger, s.config, "successor-"+uuid.NewString(), options)
	require.NoError(t, err)
	defer func() { require.NoError(t, successor.Close()) }()
	require.Greater(t, time.Since(began), 2*time.Second)
	require.Equal(t, first.name, successor.Executor())
	for _, orphan := range successor.Orphans() {
		require.NoError(t, orphan.Discard(t.Context()))
	}
}
