package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/open-executor/executor/internal/apiclient"
)

const (
	exitFailed       = 1
	exitUsage        = 2
	exitNoConnection = 3
	exitInterrupted  = 130
)

const exitCodes = `Exit codes:
   0  done; with --wait or --follow: the job completed
   1  the job failed or was canceled, or the frontend refused the request
   2  the command line or the job file is wrong
   3  no connection to the frontend
 130  interrupted; the job goes on`

var (
	// errJobNotCompleted: what there is to say about it was printed.
	errJobNotCompleted = errors.New("the job did not complete")
	errInterrupted     = errors.New("interrupted")
)

// usageError is a mistake on the command line or in a job file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode prints what went wrong and says how to exit.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	var usage usageError
	var unreachable *apiclient.UnreachableError
	code := exitFailed
	switch {
	case errors.Is(err, errJobNotCompleted):
		return exitFailed
	case errors.Is(err, errInterrupted):
		code = exitInterrupted
	case errors.As(err, &usage):
		code = exitUsage
	case errors.As(err, &unreachable):
		code = exitNoConnection
	}
	fmt.Fprintf(stderr, "execctl: %s\n", err)
	return code
}
