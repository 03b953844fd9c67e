package channel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"syscall"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

// hello is the guest's first frame.
type hello struct {
	Version int `json:"version"`
}

// Request asks the agent for one thing: exactly one member is set.
type Request struct {
	Configure *Configure `json:"configure,omitempty"`
	Warm      *Warm      `json:"warm,omitempty"`
	Workspace *Workspace `json:"workspace,omitempty"`
	Unpack    *Unpack    `json:"unpack,omitempty"`
	Image     *Image     `json:"image,omitempty"`
	Container *Container `json:"container,omitempty"`
	Program   *Program   `json:"program,omitempty"`
	Write     *Write     `json:"write,omitempty"`
	Take      *Take      `json:"take,omitempty"`
	PowerOff  *PowerOff  `json:"powerOff,omitempty"`
	// Agents of pods know these besides Unpack, Write and Take (internal/pod).
	Claim  *Claim  `json:"claim,omitempty"`
	Keep   *Keep   `json:"keep,omitempty"`
	Recall *Recall `json:"recall,omitempty"`
	Begin  *Begin  `json:"begin,omitempty"`
	Follow *Follow `json:"follow,omitempty"`
}

// Configure makes a booted guest one of its own. It comes first, and again after a restore from a snapshot.
type Configure struct {
	Hostname string `json:"hostname"`
	// Time is the host's clock.
	Time time.Time `json:"time"`
	// Entropy is credited to the guest's random number generator: at least 32 bytes.
	Entropy []byte `json:"entropy"`
	// Network is nil for a guest that has none.
	Network *Network `json:"network,omitempty"`
}

// Network is the address of the guest's one interface.
type Network struct {
	Address netip.Prefix `json:"address"`
	Gateway netip.Addr   `json:"gateway"`
	DNS     []netip.Addr `json:"dns"`
	MTU     int          `json:"mtu"`
}

// Warm makes ready, in a machine that has no job yet, what its first step would else wait for: it runs containers of the guest's own root
// as a step's, and unpacks the request's input, an archive as for Unpack, elsewhere. It comes after Configure and, if steps are to have a drive,
// Workspace.
type Warm struct{}

// Workspace mounts the job's drive, ext4, in place of one that was mounted before. All that lies on top of it becomes the workspace. Drive 0 only
// lets go of what was mounted, so that the host can write to it.
type Workspace struct {
	Drive int `json:"drive,omitempty"`
}

// Unpack makes, in a workspace that is empty, what the request's input holds: a tar archive of directories, each before what is in it, regular files
// and symbolic links.
type Unpack struct{}

// Image mounts the image on a drive before the container that runs from it comes, which then says Same.
type Image struct {
	// Drive has the image, squashfs.
	Drive int `json:"drive"`
}

// Container runs a step in a container.
type Container struct {
	// Drive has the image, squashfs.
	Drive int `json:"drive"`
	// Same says that the image is the one of the last container or Image on this drive: the host hasn't swapped it since.
	Same bool `json:"same,omitempty"`
	// Args are the words of the first process.
	Args []string `json:"args"`
	// Env holds NAME=value pairs, the image's and the step's.
	Env []string `json:"env"`
	// Dir is the absolute working directory in the container.
	Dir string `json:"dir"`
	// User is the image's, in the notation of its configuration ("1000:1000", "name"); empty for root.
	User string `json:"user,omitempty"`
	// Memory in bytes and Pids bound the container; 0 for no bound but the guest's.
	Memory int64 `json:"memory,omitempty"`
	Pids   int64 `json:"pids,omitempty"`
}

// Program runs a program of the guest's own root, in the workspace.
type Program struct {
	Args []string `json:"args"`
	Env  []string `json:"env"`
	// Dir is relative to the workspace, slash-separated.
	Dir string `json:"dir"`
	// Terminal is for a person: input and output are a terminal's.
	Terminal bool `json:"terminal,omitempty"`
}

// Write writes a file from the request's input; missing directories are made.
type Write struct {
	// Path is relative to the workspace, or absolute for a file of the guest's own root.
	Path string `json:"path"`
	// Mode has permission bits.
	Mode fs.FileMode `json:"mode"`
}

// Take sends a file of the workspace as output and removes it.
type Take struct {
	Path string `json:"path"`
	// Limit bounds the file, in bytes.
	Limit int64 `json:"limit"`
	// Number, if positive, is that of the question: a pod's agent answers who asks the same again what it answered the first time.
	Number int `json:"number,omitempty"`
}

// Claim comes first on a connection to a pod's agent, which answers nobody but who holds the pod: the first one that claimed it, or the one that took it
// over. The result has Sizes.
type Claim struct {
	// Holder names one process of an executor, which may have several connections. Empty only asks whether the pod could be had.
	Holder string `json:"holder"`
	// After, if positive, is for whoever wants to take the pod over: it waits for the present holder to leave, and to stay away, for so long each. The error is
	// ReasonHeld when that holder stays or comes back, or After is 0.
	After time.Duration `json:"after,omitempty"`
}

// Keep has a pod's agent keep the request's input under a name, in place of what it kept there: whoever takes the pod over finds it.
type Keep struct {
	Name string `json:"name"`
}

// Recall sends what was kept as output.
type Recall struct {
	Name string `json:"name"`
}

// Begin begins the one step of a container that waits for it, and ends once the step runs. It goes on when the connection ends. Asking again, by
// this connection or another one, changes nothing. A signal keeps a step from beginning whose container isn't there yet.
type Begin struct {
	Container int     `json:"container"`
	Program   Program `json:"program"`
}

// Follow sends, as standard output, the records of what a container's step has written and writes (internal/pod/spool), and ends with its result once
// the step has ended. Signals go to the step.
type Follow struct {
	Container int `json:"container"`
	// Offset is how many bytes of records to leave out.
	Offset int64 `json:"offset,omitempty"`
}

// PowerOff ends the guest; what was written is on its drives then. It ends a pod's agent, and the pod with it.
type PowerOff struct{}

// Signal goes to all processes of a request.
type Signal struct {
	Number syscall.Signal `json:"number"`
	// Rows and Columns are set instead for a terminal that has changed its size.
	Rows    uint16 `json:"rows,omitempty"`
	Columns uint16 `json:"columns,omitempty"`
}

// Result ends a request.
type Result struct {
	Error *Error `json:"error,omitempty"`
	// ExitCode is that of a container or program; 128 and the signal's number for one that a signal ended.
	ExitCode int `json:"exitCode,omitempty"`
	// OutOfMemory is true when the kernel killed a process of the container for want of memory.
	OutOfMemory bool `json:"outOfMemory,omitempty"`
	// DiskFull is true when the job's drive was full at the end of a container or program that failed.
	DiskFull bool `json:"diskFull,omitempty"`
	// Sizes are how many bytes of records each container's step has written.
	Sizes []int64 `json:"sizes,omitempty"`
}

// Reasons of errors.
const (
	ReasonUser     = "user"
	ReasonNotExist = "not-exist"
	// ReasonStart: a container's first process could not be started; the image is to blame.
	ReasonStart = "start"
	// ReasonHeld: the pod is another holder's.
	ReasonHeld  = "held"
	ReasonGuest = "guest"
)

// Error is why a request could not be carried out.
type Error struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// ErrorOf is an error as it goes to the host. One that came from a peer of its own keeps its reason.
func ErrorOf(err error) *Error {
	reason := ReasonGuest
	var said *Error
	switch {
	case errors.As(err, &said):
		reason = said.Reason
	case errors.Is(err, fs.ErrNotExist):
		reason = ReasonNotExist
	case fault.ClassOf(err) == fault.User:
		reason = ReasonUser
	}
	return &Error{Reason: reason, Message: err.Error()}
}

// maxMessage bounds an error's message in bytes.
const maxMessage = 4 << 10

func (e *Error) Error() string { return e.Message }

// Is makes a file that is not there an fs.ErrNotExist.
func (e *Error) Is(target error) bool { return target == fs.ErrNotExist && e.Reason == ReasonNotExist }

// class is the user's for what the job or its image did.
func (e *Error) class() fault.Class {
	if e.Reason == ReasonUser || e.Reason == ReasonStart {
		return fault.User
	}
	return fault.Infrastructure
}

// decode reads a message strictly: unknown members are an error.
func decode(payload []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if decoder.More() {
		return fmt.Errorf("%w: more than one message in a frame", ErrProtocol)
	}
	return nil
}
