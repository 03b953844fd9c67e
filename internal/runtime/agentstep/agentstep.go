// Package agentstep is what runtimes share whose steps are run by an agent at the far end of a channel (internal/vm/channel): what a step must be to be
// asked for, and what its end means.
package agentstep

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

// Exit codes of steps that did not run, or were killed, the same as with Docker.
const (
	CodeRefused       = 125
	CodeNotExecutable = 126
	CodeNotFound      = 127
	CodeKilled        = 137
)

// startsWell is what the parser of references doesn't ask for.
var startsWell = regexp.MustCompile(`^[A-Za-z0-9]`)

// CheckImage returns a user error for what is not the name of an image.
func CheckImage(image string) error {
	if _, err := name.ParseReference(image); err != nil || !startsWell.MatchString(image) {
		return fault.Userf("%q is not the name of an image", image)
	}
	return nil
}

// Pairs are a step's variables as a process gets them. What is no variable is a user error.
func Pairs(env []string) ([]string, error) {
	variables, err := host.Variables(env)
	if err != nil {
		return nil, err
	}
	pairs := make([]string, 0, len(variables))
	for _, variable := range variables {
		pairs = append(pairs, variable.String())
	}
	return pairs, nil
}

// Possible tells whether a process of Linux can end with that code.
func Possible(code int) bool { return code >= 0 && code <= 255 }

// StoppedCode is a stopped step's, never that of a success: a program may end well on SIGTERM without having done its work.
func StoppedCode(result channel.Result) int {
	if result.ExitCode == 0 || !Possible(result.ExitCode) {
		return -1
	}
	return result.ExitCode
}

// NotStarted says in the log why the first process of a step could not be had, by the agent's answer of channel.ReasonStart. Image is empty for a src step.
// The agent's words for a program that isn't there are missing. It returns the entry's exit code and the step's error, a user error.
func NotStarted(entry command.Entry, image string, answer *channel.Error, missing ...string) (int, error) {
	reason, code := fmt.Sprintf("The step did not start: %s.", host.OneLine(answer.Message)), CodeNotFound
	if image != "" {
		if slices.ContainsFunc(missing, func(words string) bool { return strings.Contains(answer.Message, words) }) {
			reason = fmt.Sprintf("The step did not start: image %s has no /bin/sh.", image)
		} else {
			reason, code = fmt.Sprintf("The step did not start: image %s: %s.", image, host.OneLine(answer.Message)), CodeNotExecutable
		}
	}
	host.Note(entry, reason)
	return code, fault.As(fault.User, fmt.Errorf("%s: %w", host.OneLine(reason), &command.ExitError{Code: code}))
}

// Taken is a buffer for a file that an agent sends, which may be more than it was asked for.
type Taken struct {
	bytes.Buffer
	// Limit bounds it, in bytes.
	Limit int64
	// From is who sends, for the error.
	From string
	// Exceeded is called with the error of a Write that is too much.
	Exceeded func(error)
}

// Write takes the next bytes. Too many are a user error.
func (t *Taken) Write(p []byte) (int, error) {
	if int64(t.Len()+len(p)) > t.Limit {
		err := fault.Userf("the %s sent more than %d bytes", t.From, t.Limit)
		t.Exceeded(err)
		return 0, err
	}
	return t.Buffer.Write(p)
}
