package host

import (
	"strings"

	"github.com/open-executor/executor/internal/fault"
)

// Variable is one environment variable.
type Variable struct{ Name, Value string }

func (v Variable) String() string { return v.Name + "=" + v.Value }

// Variables takes a step's NAME=value pairs apart. The last one of a name counts; pairs without "=" are dropped, as docker does with a
// variable that isn't set. A pair without a name or with a NUL byte is a user error.
func Variables(env []string) ([]Variable, error) {
	at := make(map[string]int, len(env))
	variables := make([]Variable, 0, len(env))
	for _, pair := range env {
		name, value, found := strings.Cut(pair, "=")
		switch {
		case found && name == "":
			return nil, fault.Userf("step environment has a variable without a name")
		case strings.ContainsRune(pair, 0):
			return nil, fault.Userf("step environment variable %q holds a NUL byte, which no environment can", strings.ReplaceAll(name, "\x00", ""))
		case !found:
			continue
		}
		if i, ok := at[name]; ok {
			variables[i].Value = value
			continue
		}
		at[name] = len(variables)
		variables = append(variables, Variable{name, value})
	}
	return variables, nil
}
