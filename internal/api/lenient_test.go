package api_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
)

func TestJobDecodingIsLenient(t *testing.T) {
	t.Parallel()
	v1 := func(change func(*api.Job)) api.Job {
		job := minimalJob(api.JobV1)
		change(&job)
		return job
	}
	v2 := func(change func(*api.Job)) api.Job {
		job := minimalJob(api.JobV2)
		change(&job)
		return job
	}
	for name, test := range map[string]struct {
		input string
		want  api.Job
	}{
		"only an id":              {`{"id":1}`, minimalJob(api.JobV1)},
		"null files":              {`{"id":1,"files":null}`, minimalJob(api.JobV1)},
		"version 0 is v1":         {`{"version":0,"id":1,"files":{"f":{"content":"aGk="}}}`, v1(func(j *api.Job) { j.Files["f"] = api.File{Content: []byte("aGk=")} })},
		"version 1 is v1":         {`{"version":1,"id":1,"files":{"f":{"content":"aGk="}}}`, v1(func(j *api.Job) { j.Files["f"] = api.File{Content: []byte("aGk=")} })},
		"version 2 is v2":         {`{"version":2,"id":1,"files":{"f":{"content":"aGk="}}}`, v2(func(j *api.Job) { j.Files["f"] = api.File{Content: []byte("hi")} })},
		"version 3 is v1":         {`{"version":3,"id":1,"files":{"f":{"content":"aGk="}}}`, v1(func(j *api.Job) { j.Files["f"] = api.File{Content: []byte("aGk=")} })},
		"version after the files": {`{"files":{"f":{"content":"aGk="}},"id":1,"version":2}`, v2(func(j *api.Job) { j.Files["f"] = api.File{Content: []byte("hi")} })},
		"null file":               {`{"id":1,"files":{"f":null}}`, v1(func(j *api.Job) { j.Files["f"] = api.File{} })},
		"null docker auth":        {`{"version":2,"id":1,"dockerAuthConfig":null}`, minimalJob(api.JobV2)},
		"no docker auth":          {`{"version":2,"id":1}`, minimalJob(api.JobV2)},
		"v1 has no docker auth":   {`{"id":1,"dockerAuthConfig":{"auths":{"r":{"auth":"not base64!"}}}}`, minimalJob(api.JobV1)},
		"any case of letters": {`{"ID":1,"RepositoryName":"r","DOCKERSTEPS":[{"Image":"i","COMMANDS":["c"]}],"CliSteps":[{"Command":["x"]}]}`, v1(func(j *api.Job) {
			j.RepositoryName = "r"
			j.DockerSteps = []api.DockerStep{{Image: "i", Commands: []string{"c"}}}
			j.CliSteps = []api.CliStep{{Commands: []string{"x"}}}
		})},
		"unknown members": {`{"id":1,"priority":7,"files":{"f":{"mode":"0755"}},"dockerSteps":[{"image":"i","shell":"zsh"}]}`, v1(func(j *api.Job) {
			j.Files["f"] = api.File{}
			j.DockerSteps = []api.DockerStep{{Image: "i"}}
		})},
		"zero modification time": {`{"id":1,"files":{"f":{"content":"x","modifiedAt":"0001-01-01T00:00:00Z"}}}`, v1(func(j *api.Job) { j.Files["f"] = api.File{Content: []byte("x")} })},
		"longest timeout":        {`{"id":1,"timeoutMs":9223372036854775807}`, v1(func(j *api.Job) { j.Timeout = 9223372036854 * time.Millisecond })},
		"negative timeout":       {`{"id":1,"timeoutMs":-1}`, minimalJob(api.JobV1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got api.Job
			require.NoError(t, json.Unmarshal([]byte(test.input), &got))
			require.Equal(t, test.want, got)
		})
	}
}

func TestMalformedJobs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ input, want string }{
		"not an object":      {`[]`, "cannot unmarshal array"},
		"textual id":         {`{"id":"1"}`, "cannot unmarshal string"},
		"bare string file":   {`{"id":1,"files":{"f":"content"}}`, `file "f": `},
		"bad base64":         {`{"version":2,"id":1,"files":{"f":{"content":"%"}}}`, `file "f": illegal base64`},
		"bad time":           {`{"id":1,"files":{"f":{"modifiedAt":"yesterday"}}}`, `file "f": `},
		"bad auth":           {`{"version":2,"id":1,"dockerAuthConfig":{"auths":{"r":{"auth":"%"}}}}`, "dockerAuthConfig: illegal base64"},
		"auth of wrong type": {`{"version":2,"id":1,"dockerAuthConfig":[]}`, "dockerAuthConfig: "},
	} {
		before := fullJob(api.JobV1)
		after := before
		require.ErrorContains(t, json.Unmarshal([]byte(test.input), &after), test.want, name)
		require.Equal(t, before, after, "%s: a failed decode must leave the job as it was", name)
	}
}

func TestFileIsRemoteWithBucketAndKey(t *testing.T) {
	t.Parallel()
	require.True(t, api.File{Bucket: "b", Key: "k"}.Remote())
	require.False(t, api.File{Bucket: "b"}.Remote())
	require.False(t, api.File{Key: "k"}.Remote())
	require.False(t, api.File{Content: []byte("x")}.Remote())
}

func TestIDs(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]api.IDs{
		`null`:                             nil,
		`[]`:                               {},
		`["1",2,"3-batches",4]`:            {"1", "2", "3-batches", "4"},
		`[1e3, 2.0, 120E-1, -7, -0]`:       {"1000", "2", "12", "-7", "0"},
		`[9007199254740993]`:               {"9007199254740993"},
		`[9223372036854775807]`:            {"9223372036854775807"},
		` [ "" , "anything at all" , 0 ] `: {"", "anything at all", "0"},
	} {
		var got api.IDs
		require.NoError(t, json.Unmarshal([]byte(input), &got), input)
		require.Equal(t, want, got, input)
	}
	for _, input := range []string{
		`[null]`, `[true]`, `[{}]`, `[[1]]`, `[1.5]`, `[9223372036854775808]`, `[1e300]`, `[1e-300]`, `[1e999999999]`, `[1e-999999]`, `[1e-999999999]`,
		`"1"`, `1`, `{}`,
		`[` + "1000000000000000000000000000000000000000000000000000000000000000000" + `]`,
	} {
		got := api.IDs{"before"}
		require.Error(t, json.Unmarshal([]byte(input), &got), input)
		require.Equal(t, api.IDs{"before"}, got, input)
	}
}

func TestHeartbeatDecodingIsLenient(t *testing.T) {
	t.Parallel()
	var request api.HeartbeatRequest
	require.NoError(t, json.Unmarshal([]byte(`{"ExecutorName":"e","jobids":[1,"2"],"JobIdsByQueue":[{"queuename":"q","jobIDs":[3,"4"]}],"OS":"linux","later":true}`), &request))
	require.Equal(t, api.HeartbeatRequest{
		ExecutorName: "e", JobIDs: api.IDs{"1", "2"},
		JobIDsByQueue: []api.QueueJobIDs{{QueueName: "q", JobIDs: api.IDs{"3", "4"}}},
		Telemetry:     api.Telemetry{OS: "linux"},
	}, request)

	var response api.HeartbeatResponse
	require.NoError(t, json.Unmarshal([]byte(`{"knownIDs":["1",2],"CANCELIDS":[2],"leaseSeconds":60}`), &response))
	require.Equal(t, api.HeartbeatResponse{KnownIDs: api.IDs{"1", "2"}, CancelIDs: api.IDs{"2"}}, response)
}

func TestUID(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		uid   string
		id    int64
		queue string
	}{
		{"42", 42, ""},
		{"42-batches", 42, "batches"},
		{"2--bar", 2, "-bar"},
		{"7-a-b", 7, "a-b"},
	} {
		id, queue, err := api.ParseUID(test.uid)
		require.NoError(t, err, test.uid)
		require.Equal(t, test.id, id, test.uid)
		require.Equal(t, test.queue, queue, test.uid)
		require.Equal(t, test.uid, api.Job{ID: id, Queue: queue}.UID())
	}
	for _, uid := range []string{"", "-batches", "x", "x-batches", "4 2", "9223372036854775808"} {
		_, _, err := api.ParseUID(uid)
		require.ErrorContains(t, err, "does not begin with a decimal id", uid)
	}
}
