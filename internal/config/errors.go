package config

import (
	"fmt"
	"strings"
)

// Errors are several configuration errors. The text is "N errors occurred:" and a "\t* text" line for each.
type Errors []error

func (e Errors) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d errors occurred:", len(e))
	for _, err := range e {
		fmt.Fprintf(&text, "\n\t* %s", err)
	}
	return text.String()
}

// Unwrap lets errors.Is and errors.As see each of the errors.
func (e Errors) Unwrap() []error { return e }

// Join puts errors together by spec section 2.0: none is nil, one stays bare, more become Errors.
func Join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	default:
		return Errors(errs)
	}
}
