package command

import "io"

// Log is where commands and notes of one job go. It is declared here for its writers (workspace, runtimes); steplog.Logger
// implements it. Safe for concurrent use.
type Log interface {
	// Open starts an entry. Key is a log key of docs/protocol.md; words are the command's, nil for a group of notes.
	// Entries appear in the job's log in the order of these calls.
	Open(key string, words []string) Entry
}

// Entry is one entry of a job's log. Everything written is masked before it leaves the process. The writers may be used
// concurrently with each other; writes never fail and never wait for the network.
type Entry interface {
	// Write adds a note: text as it is, without a prefix.
	io.Writer
	// Stdout takes the raw bytes of a command's standard output; the entry shows each line behind "stdout: ".
	Stdout() io.Writer
	// Stderr is the same for standard error, behind "stderr: ".
	Stderr() io.Writer
	// Close ends the entry with the command's exit code. Each entry is closed exactly once; later calls do nothing.
	Close(exitCode int)
}

// Holder is an Entry that can be held back: nothing of it is shown until the function that Hold returns is called, or the entry closed. It is for output that
// may have been shown before and comes again.
type Holder interface {
	Hold() (release func())
}
