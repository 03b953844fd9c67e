package main

import (
	"fmt"
	"io"
	"time"

	"github.com/open-executor/executor/dev/imagetest/checks"
)

// report prints results as they come.
type report struct {
	out            io.Writer
	passed, failed int
}

func (r *report) tell(result checks.Result) {
	word := "ok"
	if len(result.Failures) > 0 {
		word = "FAILED"
		r.failed++
	} else {
		r.passed++
	}
	_, _ = fmt.Fprintf(r.out, "%s %s (%s)\n", word, result.Name, result.Duration.Round(time.Millisecond))
	for _, failure := range result.Failures {
		_, _ = fmt.Fprintf(r.out, "    %s\n", failure)
	}
	for _, note := range result.Notes {
		_, _ = fmt.Fprintf(r.out, "    note: %s\n", note)
	}
}

func (r *report) close() {
	_, _ = fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
}
