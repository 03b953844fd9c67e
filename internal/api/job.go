package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Versions of the job payload. A frontend sends JobV2 to executors that can read it and JobV1 to all others.
const (
	JobV1 = 1
	JobV2 = 2
)

// Job is one unit of work as a frontend hands it out in answer to a dequeue.
//
// The two payload versions differ in three places: v2 carries "version":2, file contents as base64 (v1: plain strings)
// and "dockerAuthConfig". A payload whose version is not 2 is read as v1.
type Job struct {
	// Version is JobV1 or JobV2. The zero value encodes as v1.
	Version int
	// ID is unique within a queue.
	ID int64
	// Token authorises all further calls about this job. Lower-case hexadecimal; empty when the frontend made none.
	Token string
	// Queue is set only in answers to a dequeue over several queues.
	Queue string
	// RepositoryName is empty when there is nothing to clone.
	RepositoryName string
	// RepositoryDirectory is where the clone goes, relative to the workspace; empty means the workspace itself.
	RepositoryDirectory string
	Commit              string
	FetchTags           bool
	ShallowClone        bool
	// SparseCheckout holds patterns of git sparse-checkout (non-cone); empty means a full checkout.
	SparseCheckout []string
	// Files maps slash-separated paths, relative to the workspace, to what is written there. Never nil after decoding.
	Files       map[string]File
	DockerSteps []DockerStep
	CliSteps    []CliStep
	// RedactedValues maps secrets to what a log shows in their place.
	RedactedValues map[string]string
	// DockerAuth holds registry credentials of this job; v2 only.
	DockerAuth DockerAuthConfig

	// Attempt counts the leases of this job from 1. An extension of our frontend ("attempts"); 0 elsewhere.
	Attempt int
	// Timeout bounds the job's run time when positive. An extension of our frontend ("timeouts"), in whole
	// milliseconds on the wire; 0 elsewhere.
	Timeout time.Duration
}

// File is what is written to one path of a workspace: Content, or, when both Bucket and Key are set, the bytes that the
// frontend's files endpoint has under them.
type File struct {
	Content []byte
	Bucket  string
	Key     string
	// ModifiedAt is the file's modification time; the zero time means "not set" and stands on the wire as such.
	ModifiedAt time.Time
}

// Remote reports whether the content has to be fetched from the frontend.
func (f File) Remote() bool { return f.Bucket != "" && f.Key != "" }

// DockerStep runs shell commands in a container.
type DockerStep struct {
	Key      string   `json:"key,omitempty"`
	Image    string   `json:"image"`
	Commands []string `json:"commands"`
	// Dir is relative to the workspace.
	Dir string `json:"dir"`
	// Env holds NAME=value pairs.
	Env []string `json:"env"`
}

// CliStep runs the src command line tool.
type CliStep struct {
	Key string `json:"key,omitempty"`
	// Commands are the arguments after the word src. The member's name is singular.
	Commands []string `json:"command"`
	Dir      string   `json:"dir"`
	Env      []string `json:"env"`
}

// DockerAuthConfig has the shape of a Docker client's config.json with static credentials.
type DockerAuthConfig struct {
	Auths map[string]DockerAuth `json:"auths,omitempty"`
}

// DockerAuth is one registry's credentials: "user:password", base64 on the wire.
type DockerAuth struct {
	Auth []byte `json:"auth"`
}

// UID names the job in heartbeats and among running jobs: "<id>", or "<id>-<queue>" when Queue is set.
func (j Job) UID() string {
	id := strconv.FormatInt(j.ID, 10)
	if j.Queue == "" {
		return id
	}
	return id + "-" + j.Queue
}

// jobWire holds the members that both versions share, in the reference's order.
type jobWire struct {
	Version             int                        `json:"version,omitempty"`
	ID                  int64                      `json:"id"`
	Token               string                     `json:"token"`
	Queue               string                     `json:"queue,omitempty"`
	RepositoryName      string                     `json:"repositoryName"`
	RepositoryDirectory string                     `json:"repositoryDirectory"`
	Commit              string                     `json:"commit"`
	FetchTags           bool                       `json:"fetchTags"`
	ShallowClone        bool                       `json:"shallowClone"`
	SparseCheckout      []string                   `json:"sparseCheckout"`
	Files               map[string]json.RawMessage `json:"files"`
	DockerSteps         []DockerStep               `json:"dockerSteps"`
	CliSteps            []CliStep                  `json:"cliSteps"`
	RedactedValues      map[string]string          `json:"redactedValues"`
	DockerAuth          json.RawMessage            `json:"dockerAuthConfig,omitempty"`
	Attempt             int                        `json:"attempt,omitempty"`
	TimeoutMs           int64                      `json:"timeoutMs,omitempty"`
}

type fileV1 struct {
	Content    string    `json:"content,omitempty"`
	Bucket     string    `json:"bucket,omitempty"`
	Key        string    `json:"key,omitempty"`
	ModifiedAt time.Time `json:"modifiedAt"`
}

type fileV2 struct {
	Content    []byte    `json:"content,omitempty"`
	Bucket     string    `json:"bucket,omitempty"`
	Key        string    `json:"key,omitempty"`
	ModifiedAt time.Time `json:"modifiedAt"`
}

// MarshalJSON encodes the job in the form that Version asks for.
func (j Job) MarshalJSON() ([]byte, error) {
	wire := jobWire{
		ID:                  j.ID,
		Token:               j.Token,
		Queue:               j.Queue,
		RepositoryName:      j.RepositoryName,
		RepositoryDirectory: j.RepositoryDirectory,
		Commit:              j.Commit,
		FetchTags:           j.FetchTags,
		ShallowClone:        j.ShallowClone,
		SparseCheckout:      j.SparseCheckout,
		Files:               make(map[string]json.RawMessage, len(j.Files)),
		DockerSteps:         j.DockerSteps,
		CliSteps:            j.CliSteps,
		RedactedValues:      j.RedactedValues,
		Attempt:             j.Attempt,
		TimeoutMs:           j.Timeout.Milliseconds(),
	}
	if j.Version == JobV2 {
		auth, err := json.Marshal(j.DockerAuth)
		if err != nil {
			return nil, fmt.Errorf("dockerAuthConfig: %w", err)
		}
		wire.Version, wire.DockerAuth = JobV2, auth
	}
	for path, file := range j.Files {
		raw, err := file.marshal(j.Version)
		if err != nil {
			return nil, fmt.Errorf("file %q: %w", path, err)
		}
		wire.Files[path] = raw
	}
	return json.Marshal(wire)
}

func (f File) marshal(version int) (json.RawMessage, error) {
	if version == JobV2 {
		return json.Marshal(fileV2(f))
	}
	return json.Marshal(fileV1{Content: string(f.Content), Bucket: f.Bucket, Key: f.Key, ModifiedAt: f.ModifiedAt})
}

// UnmarshalJSON decodes either version.
func (j *Job) UnmarshalJSON(data []byte) error {
	var wire jobWire
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	job := Job{
		Version:             JobV1,
		ID:                  wire.ID,
		Token:               wire.Token,
		Queue:               wire.Queue,
		RepositoryName:      wire.RepositoryName,
		RepositoryDirectory: wire.RepositoryDirectory,
		Commit:              wire.Commit,
		FetchTags:           wire.FetchTags,
		ShallowClone:        wire.ShallowClone,
		SparseCheckout:      wire.SparseCheckout,
		Files:               make(map[string]File, len(wire.Files)),
		DockerSteps:         wire.DockerSteps,
		CliSteps:            wire.CliSteps,
		RedactedValues:      wire.RedactedValues,
		Attempt:             wire.Attempt,
		Timeout:             timeout(wire.TimeoutMs),
	}
	if wire.Version == JobV2 {
		job.Version = JobV2
		if wire.DockerAuth != nil {
			if err := json.Unmarshal(wire.DockerAuth, &job.DockerAuth); err != nil {
				return fmt.Errorf("dockerAuthConfig: %w", err)
			}
		}
	}
	for path, raw := range wire.Files {
		file, err := unmarshalFile(raw, job.Version)
		if err != nil {
			return fmt.Errorf("file %q: %w", path, err)
		}
		job.Files[path] = file
	}
	*j = job
	return nil
}

// timeout reads milliseconds; what is beyond time.Duration is cut to its longest, and what is below 0 means none.
func timeout(milliseconds int64) time.Duration {
	const longest = int64(math.MaxInt64 / time.Millisecond)
	return time.Duration(min(max(milliseconds, 0), longest)) * time.Millisecond
}

func unmarshalFile(raw json.RawMessage, version int) (File, error) {
	if bytes.Equal(raw, []byte("null")) {
		return File{}, nil
	}
	if version == JobV2 {
		var v2 fileV2
		err := json.Unmarshal(raw, &v2)
		return File(v2), err
	}
	var v1 fileV1
	if err := json.Unmarshal(raw, &v1); err != nil {
		return File{}, err
	}
	file := File{Bucket: v1.Bucket, Key: v1.Key, ModifiedAt: v1.ModifiedAt}
	if v1.Content != "" {
		file.Content = []byte(v1.Content)
	}
	return file, nil
}
