// Package fault gives errors a class, so that one place decides how each class is shown, retried and turned into an exit
// code or an HTTP status.
package fault

import (
	"errors"
	"fmt"
)

// Class says who can mend an error.
type Class int

const (
	// Infrastructure errors are ours or our surroundings': worth a retry. Errors without a class count as these.
	Infrastructure Class = iota
	// User errors lie in the job or the request: shown to its author, never retried.
	User
	// Operator errors lie in the configuration: the text names the setting and how to mend it.
	Operator
)

func (c Class) String() string {
	switch c {
	case User:
		return "user"
	case Operator:
		return "operator"
	default:
		return "infrastructure"
	}
}

type classified struct {
	error
	class Class
}

func (c *classified) Unwrap() error { return c.error }

// As gives err a class; nil stays nil. The outermost class counts.
func As(class Class, err error) error {
	if err == nil {
		return nil
	}
	return &classified{err, class}
}

// Userf makes a user error; the format is fmt.Errorf's.
func Userf(format string, args ...any) error { return As(User, fmt.Errorf(format, args...)) }

// Operatorf makes an operator error; the format is fmt.Errorf's.
func Operatorf(format string, args ...any) error { return As(Operator, fmt.Errorf(format, args...)) }

// Infrastructuref makes an infrastructure error; the format is fmt.Errorf's.
func Infrastructuref(format string, args ...any) error {
	return As(Infrastructure, fmt.Errorf(format, args...))
}

// ClassOf returns the outermost class in err's chain, Infrastructure when there is none.
func ClassOf(err error) Class {
	var c *classified
	if errors.As(err, &c) {
		return c.class
	}
	return Infrastructure
}
