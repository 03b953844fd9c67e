// Package jobfile reads job files: YAML or JSON in, a validated jobs.Spec out. docs/jobs.md describes the format for people,
// job.schema.json for editors. Every problem is told with its line, column and member path, and with how to mend it.
package jobfile

import (
	"bytes"
	"errors"
	"fmt"
	"path"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/fault"
)

// Format is the syntax of a job file.
type Format int

const (
	// Detect takes a file named .json as JSON; any other is JSON when it begins with "{" and parses as JSON, else YAML.
	Detect Format = iota
	YAML
	JSON
)

const (
	// MaxYAMLBytes bounds a YAML job file, and the text of any job file once aliases are expanded in YAML.
	MaxYAMLBytes = 1 << 20
	// DefaultMaxBytes bounds a JSON job file when Options say nothing.
	DefaultMaxBytes = 32 << 20
	// DefaultQueue is the queue of a job that names none.
	DefaultQueue = "default"
)

// Options steer Parse. The zero value is what a server uses.
type Options struct {
	Format Format
	// MaxBytes bounds the input; 0 means DefaultMaxBytes. YAML is bounded by MaxYAMLBytes besides.
	MaxBytes int
	// Env looks up variables of the submitter's environment for secrets of the form {env: NAME}; os.LookupEnv on a
	// submitter's machine. Nil refuses such secrets: a server doesn't have its clients' environment.
	Env func(name string) (value string, ok bool)
}

// Parse reads a job file. Name stands in error messages only (and, with Detect, tells the format). The spec has its defaults
// filled in: queue "default", the index as key of a step without one. Paths are cleaned, and "." became empty. An error is
// of class fault.User and wraps *Error. Safe for concurrent use.
func Parse(name string, data []byte, opts Options) (jobs.Spec, error) {
	root, err := parseTree(name, data, opts)
	if err == nil {
		r := reader{env: opts.Env}
		spec := r.job(place{node: root})
		if err = r.err(); err == nil {
			return spec, nil
		}
	}
	var problems *Error
	if errors.As(err, &problems) {
		problems.Name = name
	}
	return jobs.Spec{}, fault.As(fault.User, err)
}

func parseTree(name string, data []byte, opts Options) (*node, error) {
	limit := opts.MaxBytes
	if limit == 0 {
		limit = DefaultMaxBytes
	}
	if len(data) > limit {
		return nil, tooLarge("job file", len(data), limit)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if err := checkUTF8(data); err != nil {
		return nil, err
	}
	switch opts.format(name) {
	case JSON:
		return parseJSON(data)
	case YAML:
		return parseYAML(data)
	}
	if looksLikeJSON(data) {
		if root, err := parseJSON(data); err == nil {
			return root, nil
		}
	}
	return parseYAML(data)
}

func (o Options) format(name string) Format {
	if o.Format == Detect && path.Ext(name) == ".json" {
		return JSON
	}
	return o.Format
}

func looksLikeJSON(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
}

func tooLarge(what string, size, limit int) *Error {
	return &Error{Syntax: true, TooLarge: true, Problems: []Problem{{Line: 1, Column: 1,
		Message: fmt.Sprintf("the %s has %d bytes, at most %d are allowed: let a step fetch large inputs instead", what, size, limit)}}}
}
