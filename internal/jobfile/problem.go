package jobfile

import (
	"fmt"
	"strings"
)

// maxProblems bounds how many problems of one file are told.
const maxProblems = 20

// Problem is one thing wrong with a job file.
type Problem struct {
	// Line and Column count from 1; columns in characters.
	Line, Column int
	// Field is the member's path, "steps[1].image" for example; empty for problems of syntax.
	Field string
	// Message says what is wrong and how to mend it.
	Message string
}

func (p Problem) String() string {
	if p.Field == "" {
		return fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Message)
	}
	return fmt.Sprintf("%d:%d: %s: %s", p.Line, p.Column, p.Field, p.Message)
}

// Error tells the problems of one job file in the order of their places.
type Error struct {
	// Name is the file's name as Parse was given it.
	Name string
	// Problems has at least one and at most 20 elements.
	Problems []Problem
	// Omitted counts problems beyond those.
	Omitted int
	// Syntax is set when the file could not be read as YAML or JSON at all.
	Syntax bool
	// TooLarge is set when the file exceeds a size bound; Syntax is set too.
	TooLarge bool
}

// Error has one line per problem, each beginning with file:line:column.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		line := p.String()
		if e.Name != "" {
			line = e.Name + ":" + line
		}
		lines = append(lines, line)
	}
	if e.Omitted > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.Omitted))
	}
	return strings.Join(lines, "\n")
}

func syntaxError(line, column int, format string, args ...any) *Error {
	return &Error{Syntax: true, Problems: []Problem{{Line: line, Column: column, Message: fmt.Sprintf(format, args...)}}}
}
