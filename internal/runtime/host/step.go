package host

import (
	"context"
	"fmt"
	"time"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
)

// sweepLimit bounds the hunt for processes that left a step's process group.
const sweepLimit = 5 * time.Second

// Steps runs a job's steps as processes of this host, one at a time.
type Steps struct {
	// Runner runs the commands.
	Runner *command.Runner
	// Session is unique to the session; its mark is in the environment of every process.
	Session string
	// Workspace is the absolute path of the job's workspace.
	Workspace string
	// Log takes the entries.
	Log command.Log
	// Env holds NAME=value pairs that outrank a step's own.
	Env []string
	// Grace is the time between SIGTERM and SIGKILL.
	Grace time.Duration

	ran bool
}

// Run runs words in the step's directory with the step's environment, as runtime.Session's Run promises.
func (s *Steps) Run(ctx context.Context, step runtime.Step, words []string) error {
	dir, err := jobtree.Dir(s.Workspace, step.Dir)
	if err != nil {
		return Refuse(s.Log, step.Key, words, err)
	}
	env, err := s.env(step.Env)
	if err != nil {
		return Refuse(s.Log, step.Key, words, err)
	}
	s.ran = true
	return s.Runner.Run(ctx, s.Log, command.Spec{
		Key:   step.Key,
		Words: words,
		Dir:   dir,
		Env:   env,
		Grace: s.Grace,
		Done: func(entry command.Entry, err error) error {
			Note(entry, stopReason(ctx, err))
			if err := s.Sweep(context.WithoutCancel(ctx)); err != nil {
				Note(entry, fmt.Sprintf("Processes of the step are left: %s.", OneLine(err.Error())))
			}
			return err
		},
	})
}

// stopReason is empty for a step that ended by itself just when the context did.
func stopReason(ctx context.Context, err error) string {
	if err == nil {
		return ""
	}
	return StopReason(ctx)
}

func (s *Steps) env(pairs []string) ([]string, error) {
	variables, err := Variables(pairs)
	if err != nil {
		return nil, err
	}
	env := make([]string, 0, len(variables)+len(s.Env)+1)
	for _, variable := range variables {
		env = append(env, variable.String())
	}
	return append(append(env, s.Env...), owner.SessionMark(s.Session)), nil
}

// Sweep kills what is left of the session's processes, also of those that left their process group.
func (s *Steps) Sweep(ctx context.Context) error {
	if !s.ran {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	_, err := owner.KillMarked(ctx, owner.SessionMark(s.Session))
	return err
}

// Refuse makes the log entry of a step that can't start, with the reason in it, and returns err.
func Refuse(log command.Log, key string, words []string, err error) error {
	entry := log.Open(key, words)
	Note(entry, fmt.Sprintf("The step did not start: %s.", OneLine(err.Error())))
	entry.Close(-1)
	return err
}

// Logged does what is no step, and makes an entry of it: its error is noted there, and returned.
func Logged(log command.Log, key string, do func(entry command.Entry) error) error {
	entry := log.Open(key, nil)
	if err := do(entry); err != nil {
		Note(entry, err.Error())
		entry.Close(1)
		return err
	}
	entry.Close(0)
	return nil
}
