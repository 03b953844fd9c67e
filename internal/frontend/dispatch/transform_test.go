package dispatch

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/store"
)

func fullSpec() jobs.Spec {
	return jobs.Spec{
		Queue: "default",
		Repository: &jobs.Repository{
			Name: "my/repo", Commit: "0123456789012345678901234567890123456789", Directory: "repository",
			Shallow: true, Tags: true, Sparse: []string{"docs/*", "src/*"},
		},
		Files: map[string]jobs.File{"input.json": {Content: []byte(`{"a": 1}`)}},
		Steps: []jobs.Step{
			{Key: "build", Image: "debian:12", Dir: "repository", Env: map[string]string{"B": "2", "A": "1"}, Run: []string{"make", "make test"}},
			{Key: "1", Image: "debian:12", Env: map[string]string{"TOKEN": "from the step"}},
			{Key: "upload", Src: []string{"version", "-client-only"}, Dir: "sub"},
		},
		Secrets: map[string]jobs.Secret{
			"TOKEN": {Value: "s3cret"},
			"AGAIN": {Value: "s3cret"},
			"EMPTY": {},
		},
	}
}

func TestTransform(t *testing.T) {
	t.Parallel()
	job, err := Transform(store.Lease{JobID: 42, Queue: "default", Attempt: 3, Spec: fullSpec()}, api.JobV2)
	require.NoError(t, err)
	require.Equal(t, api.Job{
		Version:             api.JobV2,
		ID:                  42,
		RepositoryName:      "my/repo",
		RepositoryDirectory: "repository",
		Commit:              "0123456789012345678901234567890123456789",
		FetchTags:           true,
		ShallowClone:        true,
		SparseCheckout:      []string{"docs/*", "src/*"},
		Files:               map[string]api.File{"input.json": {Content: []byte(`{"a": 1}`)}},
		DockerSteps: []api.DockerStep{
			{Key: "build", Image: "debian:12", Dir: "repository", Commands: []string{"make", "make test"},
				Env: []string{"A=1", "AGAIN=s3cret", "B=2", "EMPTY=", "TOKEN=s3cret"}},
			{Key: "1", Image: "debian:12", Commands: []string{}, Env: []string{"AGAIN=s3cret", "EMPTY=", "TOKEN=s3cret"}},
		},
		CliSteps: []api.CliStep{
			{Key: "upload", Commands: []string{"version", "-client-only"}, Dir: "sub", Env: []string{"AGAIN=s3cret", "EMPTY=", "TOKEN=s3cret"}},
		},
		RedactedValues: map[string]string{"s3cret": "${{ secrets.AGAIN }}"},
	}, job)
}

func TestTransformOfTheSmallestJobHasNoNulls(t *testing.T) {
	t.Parallel()
	job, err := Transform(store.Lease{JobID: 1, Spec: jobs.Spec{Steps: []jobs.Step{{Key: "0", Image: "busybox"}}}}, api.JobV1)
	require.NoError(t, err)
	raw, err := json.Marshal(job)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":1,"token":"","repositoryName":"","repositoryDirectory":"","commit":"","fetchTags":false,"shallowClone":false,
		"sparseCheckout":[],"files":{},"dockerSteps":[{"key":"0","image":"busybox","commands":[],"dir":"","env":[]}],"cliSteps":[],
		"redactedValues":{}}`, string(raw))
}

func TestTransformRefusals(t *testing.T) {
	t.Parallel()
	container := jobs.Step{Key: "c", Image: "busybox", Run: []string{"true"}}
	src := jobs.Step{Key: "s", Src: []string{"version"}}
	binary := map[string]jobs.File{"blob": {Content: []byte{0xff, 0xfe}}}
	for name, test := range map[string]struct {
		spec    jobs.Spec
		version int
		want    string
	}{
		"src step first":             {jobs.Spec{Steps: []jobs.Step{src, container}}, api.JobV2, "steps[1] (c) is a container step behind a src step"},
		"neither image nor src":      {jobs.Spec{Steps: []jobs.Step{{Key: "x"}}}, api.JobV2, "steps[0] (x) needs either an image or src arguments"},
		"image and src":              {jobs.Spec{Steps: []jobs.Step{{Key: "x", Image: "i", Src: []string{"a"}}}}, api.JobV2, "steps[0] (x) needs either"},
		"binary file and v1":         {jobs.Spec{Files: binary, Steps: []jobs.Step{container}}, api.JobV1, `file "blob" is binary`},
		"binary file and v2 is fine": {jobs.Spec{Files: binary, Steps: []jobs.Step{container}}, api.JobV2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Transform(store.Lease{JobID: 1, Spec: test.spec}, test.version)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			require.Equal(t, fault.User, fault.ClassOf(err))
		})
	}
}
