// Package config turns environment variables into validated configuration. It holds the mechanism only: a Table of
// variables is the single source for parsing, for the text of `run --help` and for docs/configuration.md.
//
// Nothing here reads the process's environment: every look-up goes through a Lookup, and what is known of the machine comes
// in a Host.
package config

import "fmt"

// Lookup returns a variable's value and whether it is set; os.LookupEnv is one.
type Lookup func(name string) (string, bool)

// Kind says what a variable's value looks like and which method of Reader reads it.
type Kind string

// The kinds. Values of String, Int, Bool, Duration and Size have to be there; the others may be empty.
const (
	// String is any text but the empty one.
	String Kind = "text"
	// Optional is any text.
	Optional Kind = "optional text"
	// List is text separated by commas; white space around elements and empty lists are fine.
	List Kind = "comma list"
	// JSON is a JSON document.
	JSON Kind = "JSON"
	// Quantity is a Kubernetes quantity such as 500m or 12Gi.
	Quantity Kind = "quantity"
	// Size is a number of bytes such as 20G or 512MB.
	Size Kind = "size"
	// Int is a whole decimal number.
	Int Kind = "int"
	// Bool is one of 1, t, T, true, True, TRUE and 0, f, F, false, False, FALSE.
	Bool Kind = "bool"
	// Duration is Go's syntax: 30s, 1m30s, 0.
	Duration Kind = "duration"
)

// Variable describes one environment variable.
type Variable struct {
	Name string
	Kind Kind
	// Default is the value of an unset variable.
	Default string
	// DefaultText describes a default that the program computes; Default is then empty and the value comes with NewReader.
	DefaultText string
	// Required variables have no default and must be set.
	Required bool
	// Secret values never appear in an error.
	Secret bool
	// Aliases are deprecated names, looked up in order when Name is unset.
	Aliases []string
	// Section groups variables in the help text and the documentation.
	Section string
	// Users names the runtimes or parts that look at the variable.
	Users string
	// Description is one paragraph of plain text; code stands in backquotes.
	Description string
}

// InSection puts variables into a section and returns them.
func InSection(name string, variables ...Variable) []Variable {
	for i := range variables {
		variables[i].Section = name
	}
	return variables
}

// Also is a variable that is read besides the table, by the program itself or by a library or tool it uses.
type Also struct {
	Names       []string
	Description string
}

// Table is a program's variables in the order in which they are documented.
type Table struct {
	Variables []Variable
	Also      []Also
}

// Variable returns the variable of that name, which must be in the table.
func (t Table) Variable(name string) Variable {
	for _, variable := range t.Variables {
		if variable.Name == name {
			return variable
		}
	}
	panic(fmt.Sprintf("config: %s is not in the table", name))
}

// sections returns the variables by section, sections in order of their first variable.
func (t Table) sections() []section {
	var sections []section
	index := map[string]int{}
	for _, variable := range t.Variables {
		at, ok := index[variable.Section]
		if !ok {
			at = len(sections)
			index[variable.Section] = at
			sections = append(sections, section{name: variable.Section})
		}
		sections[at].variables = append(sections[at].variables, variable)
	}
	return sections
}

type section struct {
	name      string
	variables []Variable
}

// shownDefault is the default as people read it; empty when there is none.
func (v Variable) shownDefault() string {
	if v.DefaultText != "" {
		return v.DefaultText
	}
	if v.Default != "" {
		return "`" + v.Default + "`"
	}
	return ""
}
