// Package jobs is the wire of the jobs API, /api/v1: what clients submit and what they read. It imports nothing of ours; docs/jobs.md
// describes the same for people, openapi.yaml for programs.
package jobs

import (
	"encoding/json"
	"time"
)

// State is where a job is in its life; docs/state-machine.md draws it.
type State string

// Queued, Processing and Errored jobs go on; the others are final: no job ever leaves one of those.
const (
	Queued     State = "queued"
	Processing State = "processing"
	// Errored: an attempt failed and the job waits for the next one.
	Errored   State = "errored"
	Completed State = "completed"
	Failed    State = "failed"
	Canceled  State = "canceled"
)

// States lists all states in the order of a job's life.
func States() []State { return []State{Queued, Processing, Errored, Completed, Failed, Canceled} }

// Final reports whether a job in this state is over.
func (s State) Final() bool { return s == Completed || s == Failed || s == Canceled }

// Spec is a job as it is submitted, validated and with defaults filled in; package jobfile reads it from YAML or JSON.
type Spec struct {
	Queue      string            `json:"queue"`
	Repository *Repository       `json:"repository,omitempty"`
	Files      map[string]File   `json:"files,omitempty"`
	Steps      []Step            `json:"steps"`
	Secrets    map[string]Secret `json:"secrets,omitempty"`
	// Timeout bounds one attempt; 0 leaves it to the executor. On the wire a Go duration such as "10m".
	Timeout Duration `json:"timeout,omitempty"`
	// Retries is how many more attempts follow a failed one.
	Retries int `json:"retries,omitempty"`
}

// Repository is what an attempt clones first.
type Repository struct {
	Name string `json:"name"`
	// Commit is a branch, tag or commit as submitted; the frontend replaces it by the commit it resolves to.
	Commit string `json:"commit"`
	// Directory is the clone's place, relative to the workspace; empty means the workspace itself.
	Directory string   `json:"directory,omitempty"`
	Shallow   bool     `json:"shallow,omitempty"`
	Tags      bool     `json:"tags,omitempty"`
	Sparse    []string `json:"sparse,omitempty"`
}

// File is a file of the workspace. On the wire it is an object with content, which is text, or base64 beside "encoding":"base64"
// when the bytes are not UTF-8: the same form as in a job file.
type File struct {
	Content []byte `json:"-"`
}

// Step is a container step (Image and Run) or a src step (Src).
type Step struct {
	// Key names the step within the job; never empty after reading: the step's index stands in.
	Key   string            `json:"key"`
	Image string            `json:"image,omitempty"`
	Dir   string            `json:"dir,omitempty"`
	Env   map[string]string `json:"env,omitempty"`
	// Run holds shell lines; in a job file one string or a list.
	Run []string `json:"run,omitempty"`
	// Src holds the arguments after the word src.
	Src []string `json:"src,omitempty"`
}

// Secret is set in every step's environment under its name and masked in every log.
type Secret struct {
	// Value is the secret. Answers of the API never carry it.
	Value string `json:"value,omitempty"`
}

// Job is a job as clients read it.
type Job struct {
	ID    int64  `json:"id"`
	Queue string `json:"queue"`
	State State  `json:"state"`
	// Canceling is true between a cancel request and its effect.
	Canceling bool `json:"canceling,omitempty"`
	// Reason says why the job is in this state, when there is more to say than the state.
	Reason string `json:"reason,omitempty"`
	// RetryOf is the job that this one repeats; 0 for none.
	RetryOf    int64      `json:"retryOf,omitempty"`
	QueuedAt   time.Time  `json:"queuedAt"`
	StartedAt  *time.Time `json:"startedAt,omitempty"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	// Executor runs the job now, or ran its last attempt.
	Executor string    `json:"executor,omitempty"`
	Attempts []Attempt `json:"attempts,omitempty"`
	// Spec has no secret values. Left out of lists.
	Spec *Spec `json:"spec,omitempty"`
}

// Attempt is one lease of a job.
type Attempt struct {
	Number    int        `json:"number"`
	Executor  string     `json:"executor"`
	StartedAt time.Time  `json:"startedAt"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
	// Cause is how it ended: completed, errored, failed, canceled, lost, timeout; empty while it runs.
	Cause   string `json:"cause,omitempty"`
	Message string `json:"message,omitempty"`
	// Entries are the commands of its log, without their output.
	Entries []Entry `json:"entries,omitempty"`
}

// Entry is one command, or group of notes, of an attempt's log.
type Entry struct {
	ID         int       `json:"id"`
	Key        string    `json:"key"`
	Command    []string  `json:"command,omitempty"`
	StartedAt  time.Time `json:"startedAt"`
	ExitCode   *int      `json:"exitCode,omitempty"`
	DurationMs *int      `json:"durationMs,omitempty"`
}

// JobList is one page of jobs, newest first.
type JobList struct {
	Jobs []Job `json:"jobs"`
	// Next is the cursor of the next page; empty on the last one.
	Next string `json:"next,omitempty"`
}

// Compatibility of an executor's version with the frontend's.
const (
	Outdated     = "OUTDATED"
	UpToDate     = "UP_TO_DATE"
	VersionAhead = "VERSION_AHEAD"
)

// Executor is an executor that the frontend has heard of.
type Executor struct {
	Name          string   `json:"name"`
	Queues        []string `json:"queues"`
	Active        bool     `json:"active"`
	Version       string   `json:"version"`
	Compatibility string   `json:"compatibility,omitempty"`
	OS            string   `json:"os,omitempty"`
	Architecture  string   `json:"architecture,omitempty"`
	DockerVersion string   `json:"dockerVersion,omitempty"`
	GitVersion    string   `json:"gitVersion,omitempty"`
	SrcCliVersion string   `json:"srcCliVersion,omitempty"`
	// Jobs are the ids of the jobs that it holds leases on.
	Jobs        []int64   `json:"jobs"`
	FirstSeenAt time.Time `json:"firstSeenAt"`
	LastSeenAt  time.Time `json:"lastSeenAt"`
}

// Queue is a queue that has ever had a job or an executor.
type Queue struct {
	Name       string `json:"name"`
	Queued     int    `json:"queued"`
	Processing int    `json:"processing"`
	// Executors counts active executors that serve the queue.
	Executors int `json:"executors"`
}

// ErrorBody is the one shape of an error answer.
type ErrorBody struct {
	Error Error `json:"error"`
}

// Error is the inside of ErrorBody.
type Error struct {
	// Code is stable and meant for programs, "not_found" for example.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Field is the path of the offending member, "steps[1].image" for example.
	Field string `json:"field,omitempty"`
}

// Duration is a time.Duration that stands on the wire in Go's syntax, "1h30m".
type Duration time.Duration

// MarshalJSON renders Go's duration syntax.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON parses Go's duration syntax.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}
