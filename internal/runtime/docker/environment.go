package docker

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime/host"
)

const (
	// maxFileLine is what a line of an env file may measure: docker refuses lines of 64 KiB.
	maxFileLine = 60 << 10
	// maxVariable is the kernel's limit for one NAME=value with its final NUL (MAX_ARG_STRLEN).
	maxVariable = 128 << 10
)

// environment is how a step's variables reach its container: by way of an env file, or, when its format can't hold them, by way
// of the environment of the docker program, which only this user and root can read. Values never stand on a command line.
type environment struct {
	// file is the env file's content.
	file []byte
	// client holds NAME=value pairs for the docker program, whose names are given with -e.
	client []string
	// names are all names, in order.
	names []string
}

// newEnvironment makes the environment of a step's pairs. Variables that can't reach the container are user errors.
func newEnvironment(pairs []string) (environment, error) {
	variables, err := host.Variables(pairs)
	if err != nil {
		return environment{}, err
	}
	var env environment
	var file bytes.Buffer
	for _, variable := range variables {
		pair := variable.String()
		switch {
		case len(pair) >= maxVariable:
			return environment{}, fault.Userf("step environment variable %s measures %d bytes; less than %d is possible. Use a file for more", variable.Name, len(pair), maxVariable)
		case fitsFile(variable):
			file.WriteString(pair + "\n")
		case steers(variable.Name):
			return environment{}, fault.Userf("step environment variable %s has a value of several lines or of more than %d bytes, which is impossible for this name", variable.Name, maxFileLine)
		default:
			env.client = append(env.client, pair)
		}
		env.names = append(env.names, variable.Name)
	}
	env.file = file.Bytes()
	return env, nil
}

// fitsFile tells whether a line of an env file yields exactly this variable: docker drops lines that begin with "#" and a
// carriage return at their end, cuts leading blanks, refuses blanks in names and text that isn't UTF-8, and reads no line of
// 64 KiB.
func fitsFile(variable host.Variable) bool {
	pair := variable.String()
	return len(pair) <= maxFileLine &&
		utf8.ValidString(pair) &&
		!strings.Contains(pair, "\n") && !strings.HasSuffix(pair, "\r") &&
		!strings.HasPrefix(pair, "#") && !strings.HasPrefix(pair, "\ufeff") &&
		!strings.ContainsFunc(variable.Name, unicode.IsSpace)
}

// steers tells whether the docker program, its runtime or its libraries heed a variable of this name.
func steers(name string) bool {
	name = strings.ToUpper(name)
	for _, prefix := range []string{"BUILDKIT_", "DOCKER_", "EXECUTOR_", "GLIBC_", "GO", "LC_", "LD_", "MALLOC_", "OTEL_", "SSL_", "XDG_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "HOME", "HOSTALIASES", "LANG", "LOCALDOMAIN", "LOCPATH", "NLSPATH", "PATH", "RES_OPTIONS", "TMPDIR", "USER":
		return true
	}
	return strings.HasSuffix(name, "_PROXY")
}
