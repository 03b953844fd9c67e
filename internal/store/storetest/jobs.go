package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

var jobTests = map[string]func(t *testing.T, b *bundle){
	"SubmitAndRead":    submitAndRead,
	"SecretsStayApart": secretsStayApart,
	"ListPages":        listPages,
	"ListFilters":      listFilters,
	"CancelIdempotent": cancelIdempotent,
	"RetryCopies":      retryCopies,
	"UnknownJob":       unknownJob,
}

func fullSpec() jobs.Spec {
	return jobs.Spec{
		Queue:      "builds",
		Repository: &jobs.Repository{Name: "my/repo", Commit: "c0ffee", Directory: "repository", Shallow: true, Tags: true, Sparse: []string{"docs/*"}},
		Files:      map[string]jobs.File{"input.json": {Content: []byte("{\"a\": 1}\n\x00\xff")}, "empty": {}},
		Steps: []jobs.Step{
			{Key: "build", Image: "debian:12", Dir: "repository", Env: map[string]string{"A": "b\nc"}, Run: []string{"make", "exit 0"}},
			{Key: "1", Src: []string{"version", "-client-only"}},
		},
		Secrets: map[string]jobs.Secret{"TOKEN": {Value: "hush-hush-ß"}, "EMPTY": {}},
		Timeout: jobs.Duration(90 * time.Second),
		Retries: 2,
	}
}

func withoutValues(spec jobs.Spec) jobs.Spec {
	names := make(map[string]jobs.Secret)
	for name := range spec.Secrets {
		names[name] = jobs.Secret{}
	}
	spec.Secrets = names
	return spec
}

func submitAndRead(t *testing.T, b *bundle) {
	submitted, err := b.store.Submit(b.ctx, store.NewJob{Spec: fullSpec()})
	require.NoError(t, err)
	require.Equal(t, store.Job{
		ID:       submitted.ID,
		Queue:    "builds",
		State:    jobs.Queued,
		QueuedAt: b.clock.Now(),
		Spec:     withoutValues(fullSpec()),
	}, submitted)
	require.Positive(t, submitted.ID)
	require.Equal(t, submitted, b.job(submitted.ID))

	require.Greater(t, b.submit("builds"), submitted.ID, "ids grow")
}

func secretsStayApart(t *testing.T, b *bundle) {
	given := fullSpec()
	submitted, err := b.store.Submit(b.ctx, store.NewJob{Spec: given})
	require.NoError(t, err)
	require.Equal(t, fullSpec(), given, "the caller's spec stays as it was")

	lease := b.lease(executor, "builds")
	require.Equal(t, fullSpec(), lease.Spec, "the executor gets the values")
	canceled := b.cancel(submitted.ID)
	finished := b.finish(lease, store.Complete, "")
	retried, err := b.store.Retry(b.ctx, submitted.ID)
	require.NoError(t, err)
	listed, err := b.store.List(b.ctx, store.Filter{Limit: 10})
	require.NoError(t, err)
	shown, err := json.Marshal([]any{submitted, canceled, finished, retried, listed, b.job(submitted.ID)})
	require.NoError(t, err)
	require.NotContains(t, string(shown), "hush-hush")
	require.Contains(t, string(shown), "TOKEN")
}

func ids(list []store.Job) []int64 {
	var ids []int64
	for _, job := range list {
		ids = append(ids, job.ID)
	}
	return ids
}

func listPages(t *testing.T, b *bundle) {
	var want []int64
	for range 25 {
		want = append(want, b.submit(queue))
	}
	slices.Reverse(want)
	var got []int64
	before := int64(0)
	for {
		page, err := b.store.List(b.ctx, store.Filter{Before: before, Limit: 10})
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		require.LessOrEqual(t, len(page), 10)
		got = append(got, ids(page)...)
		before = page[len(page)-1].ID
		b.submit(queue) // A new job moves no page.
	}
	require.Equal(t, want, got)

	_, err := b.store.List(b.ctx, store.Filter{})
	require.ErrorContains(t, err, "limit")
}

func listFilters(t *testing.T, b *bundle) {
	all := make(map[string][]int64)
	for _, queue := range []string{"a", "b"} {
		for range 2 {
			id := b.submit(queue)
			all[queue+" queued"] = append(all[queue+" queued"], id)
		}
		canceled := b.submit(queue)
		b.cancel(canceled)
		all[queue+" canceled"] = []int64{canceled}
	}
	running := b.lease(executor, "a")
	all["a processing"], all["a queued"] = []int64{running.JobID}, all["a queued"][1:]

	for _, test := range []struct {
		filter store.Filter
		want   []int64
	}{
		{store.Filter{}, slices.Concat(all["a queued"], all["a canceled"], all["a processing"], all["b queued"], all["b canceled"])},
		{store.Filter{Queue: "b"}, slices.Concat(all["b queued"], all["b canceled"])},
		{store.Filter{Queue: "none"}, nil},
		{store.Filter{States: []jobs.State{jobs.Canceled}}, slices.Concat(all["a canceled"], all["b canceled"])},
		{store.Filter{States: []jobs.State{jobs.Processing, jobs.Queued}, Queue: "a"}, slices.Concat(all["a queued"], all["a processing"])},
		{store.Filter{States: []jobs.State{jobs.Completed}}, nil},
		{store.Filter{Before: all["b queued"][1]}, slices.Concat(all["a queued"], all["a canceled"], all["a processing"], all["b queued"][:1])},
	} {
		slices.Sort(test.want)
		slices.Reverse(test.want)
		test.filter.Limit = 100
		list, err := b.store.List(b.ctx, test.filter)
		require.NoError(t, err)
		require.Equal(t, test.want, ids(list), fmt.Sprintf("%+v", test.filter))
		for _, job := range list {
			want := b.job(job.ID)
			want.Spec, want.Attempts = jobs.Spec{}, nil
			require.Equal(t, want, job, "a listed job has no spec and no attempts")
		}
	}
}

func cancelIdempotent(t *testing.T, b *bundle) {
	b.submit(queue)
	lease := b.lease(executor, queue)
	first := b.cancel(lease.JobID)
	require.Equal(t, jobs.Processing, first.State)
	require.True(t, first.Cancel)
	b.clock.Advance(time.Second)
	require.Equal(t, first, b.cancel(lease.JobID))

	over := b.finish(lease, store.Errored, "stopped")
	require.Equal(t, jobs.Canceled, over.State)
	require.Zero(t, over.Failures, "a stop that was asked for is no failure")
	_, err := b.store.Cancel(b.ctx, lease.JobID)
	require.ErrorIs(t, err, store.ErrFinal)
}

func retryCopies(t *testing.T, b *bundle) {
	first, err := b.store.Submit(b.ctx, store.NewJob{Spec: fullSpec()})
	require.NoError(t, err)
	_, err = b.store.Retry(b.ctx, first.ID)
	require.ErrorIs(t, err, store.ErrNotFinal)
	lease := b.lease(executor, "builds")
	_, err = b.store.Retry(b.ctx, first.ID)
	require.ErrorIs(t, err, store.ErrNotFinal)
	before := b.finish(lease, store.Fail, "exit code 1")

	b.clock.Advance(time.Minute)
	second, err := b.store.Retry(b.ctx, first.ID)
	require.NoError(t, err)
	require.Equal(t, store.Job{
		ID:       second.ID,
		Queue:    "builds",
		State:    jobs.Queued,
		RetryOf:  first.ID,
		QueuedAt: b.clock.Now(),
		Spec:     withoutValues(fullSpec()),
	}, second)
	require.Greater(t, second.ID, first.ID)
	require.Equal(t, before, b.job(first.ID), "no event leaves a final state")

	again := b.lease(executor, "builds")
	require.Equal(t, second.ID, again.JobID)
	require.Equal(t, 1, again.Attempt)
	require.Equal(t, fullSpec(), again.Spec, "secrets included")
}

func unknownJob(t *testing.T, b *bundle) {
	_, err := b.store.Job(b.ctx, 42)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.store.Cancel(b.ctx, 42)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.store.Retry(b.ctx, 42)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.store.Entries(b.ctx, 42, 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.store.ReadLog(b.ctx, 42, 1, 0, 100)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.store.Token(b.ctx, b.token())
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.store.Token(b.ctx, [32]byte{})
	require.ErrorIs(t, err, store.ErrNotFound)
}
