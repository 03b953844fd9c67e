// Package schema reads files of container structure tests: YAML of schema 2.0.0, as container-structure-test defines it. What it reads means
// the same there. What that tool would read differently from what its documentation says, or what is not supported here, is refused with
// its line and column.
package schema

import "regexp"

// Version is the one schema that is read.
const Version = "2.0.0"

// File is a file of tests.
type File struct {
	// GlobalEnv is set in the containers of all tests but that of the metadata. Values may name variables of the image.
	GlobalEnv  []Variable
	Commands   []Command
	Contents   []Content
	Existences []Existence
	Metadata   *Metadata
	RunOptions RunOptions
}

// Tests counts the tests in the file.
func (f *File) Tests() int {
	n := len(f.Commands) + len(f.Contents) + len(f.Existences)
	if f.Metadata != nil {
		n++
	}
	return n
}

// Command runs a program in a container of its own, without the image's entrypoint.
type Command struct {
	Name string
	// Setup are commands that run first, one after another, each in the file system that the one before has left.
	Setup    [][]string
	Env      []Variable
	Command  string
	Args     []string
	ExitCode int
	// Patterns that must, or must not, match somewhere in what the program writes.
	ExpectedOutput, ExcludedOutput, ExpectedError, ExcludedError []Pattern
}

// Content looks into a file.
type Content struct {
	Name, Path         string
	Expected, Excluded []Pattern
}

// Existence looks at a file or directory. A symbolic link is looked at itself, not what it leads to.
type Existence struct {
	Name, Path  string
	ShouldExist bool
	// Permissions are as Go prints them, "-rwxr-xr-x" for example; empty allows any.
	Permissions string
	// UID and GID are the owner's; -1 allows any.
	UID, GID int
	// ExecutableBy is any, owner, group, other, or empty.
	ExecutableBy string
}

// Metadata looks at the image's configuration. Nil and empty members say nothing, except that an Entrypoint or Cmd which is not nil must be
// met exactly, an empty one too.
type Metadata struct {
	Env, Labels                  []Variable
	UnboundEnv                   []string
	ExposedPorts, UnexposedPorts []string
	Volumes, UnmountedVolumes    []string
	Entrypoint, Cmd              *[]string
	Workdir, User                string
}

// Variable is a name with a value, or with a pattern for it.
type Variable struct {
	Key, Value string
	// Pattern is nil where the value is meant literally.
	Pattern *regexp.Regexp
}

// Pattern is a regular expression in Go's syntax.
type Pattern struct{ *regexp.Regexp }

// RunOptions say how the containers of command tests run.
type RunOptions struct {
	User       string
	Privileged bool
	// PassEnv names variables that are passed on from the runner's own environment, in which they must be set.
	PassEnv []string
	Binds   []string
}
