package api

import "time"

// DequeueRequest asks for one job.
type DequeueRequest struct {
	// Queues is set when one executor serves several queues.
	Queues       []string `json:"queues,omitempty"`
	ExecutorName string   `json:"executorName"`
	// Version is the executor's build version; it decides which job payload the frontend sends.
	Version string `json:"version"`
	// NumCPUs, Memory ("12G") and DiskSpace ("20G") are what one job may use.
	NumCPUs   int    `json:"numCPUs,omitempty"`
	Memory    string `json:"memory,omitempty"`
	DiskSpace string `json:"diskSpace,omitempty"`
}

// JobOperation is part of every request about one job.
type JobOperation struct {
	ExecutorName string `json:"executorName"`
	JobID        int64  `json:"jobId"`
}

// MarkCompleteRequest reports success.
type MarkCompleteRequest struct{ JobOperation }

// MarkErroredRequest reports a retryable failure, and, sent to markFailed, a final one.
type MarkErroredRequest struct {
	JobOperation
	ErrorMessage string `json:"errorMessage"`
}

// ExecutionLogEntry is one command, or one group of notes, of a job's log.
type ExecutionLogEntry struct {
	// Key says what ran, "step.docker.build" for example; docs/protocol.md lists all keys.
	Key string `json:"key"`
	// Command holds the words of the command; null when there was none.
	Command   []string  `json:"command"`
	StartTime time.Time `json:"startTime"`
	// ExitCode is nil while the command runs.
	ExitCode *int `json:"exitCode,omitempty"`
	// Out is the whole output so far; each line of a command begins with "stdout: " or "stderr: ".
	Out string `json:"out,omitempty"`
	// DurationMs is the time from StartTime to the end in milliseconds; nil while the command runs.
	DurationMs *int `json:"durationMs,omitempty"`
}

// AddExecutionLogEntryRequest appends an entry. The answer is the entry's id, a bare JSON integer.
type AddExecutionLogEntryRequest struct {
	JobOperation
	ExecutionLogEntry
}

// UpdateExecutionLogEntryRequest replaces an entry that was added before.
type UpdateExecutionLogEntryRequest struct {
	JobOperation
	EntryID int `json:"entryId"`
	ExecutionLogEntry
}
