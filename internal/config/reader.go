package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reader reads the variables of a table by the rules of spec section 2.0. Bad values are collected in the order in which
// they are read. Asking for a variable that is not in the table, or by a method that doesn't fit its kind, panics.
type Reader struct {
	table    Table
	lookup   Lookup
	computed map[string]string
	errs     []error
	failed   map[string]bool
}

// NewReader makes a reader. The map computed holds the defaults that the table only describes (DefaultText).
func NewReader(table Table, lookup Lookup, computed map[string]string) *Reader {
	return &Reader{table: table, lookup: lookup, computed: computed, failed: map[string]bool{}}
}

// Errors returns the errors of what was read so far.
func (r *Reader) Errors() []error { return r.errs }

// Failed reports whether reading that variable failed; rules about its value then have nothing to say.
func (r *Reader) Failed(name string) bool { return r.failed[name] }

// String reads required text. Empty text, also as the default, is an error.
func (r *Reader) String(name string) string {
	found := r.find(name, String, Size)
	if found.value == "" {
		r.missing(found)
	}
	return found.value
}

// Optional reads text that may be empty, as it is.
func (r *Reader) Optional(name string) string {
	return r.find(name, Optional, JSON).value
}

// Elements reads a comma list, without the white space around its elements. Blank text gives no elements; an empty element
// between commas is kept, for the caller to judge.
func (r *Reader) Elements(name string) []string {
	list := r.find(name, List).value
	if strings.TrimSpace(list) == "" {
		return nil
	}
	elements := strings.Split(list, ",")
	for i := range elements {
		elements[i] = strings.TrimSpace(elements[i])
	}
	return elements
}

// Int reads a whole decimal number.
func (r *Reader) Int(name string) int { return parse(r, r.find(name, Int), strconv.Atoi) }

// Bool reads a truth value.
func (r *Reader) Bool(name string) bool { return parse(r, r.find(name, Bool), strconv.ParseBool) }

// Duration reads a duration.
func (r *Reader) Duration(name string) time.Duration {
	return parse(r, r.find(name, Duration), time.ParseDuration)
}

// Parsed reads a Size or a Quantity with a parser of the caller's. An empty Size is an error, an empty Quantity the zero value.
func Parsed[T any](r *Reader, name string, parser func(string) (T, error)) T {
	var zero T
	found := r.find(name, Size, Quantity)
	if found.value != "" {
		return parse(r, found, parser)
	}
	if found.kind == Size {
		r.missing(found)
	}
	return zero
}

// UsedName returns the name under which a variable is set: its own, or the alias in use. Errors should name it.
func (r *Reader) UsedName(name string) string {
	return r.find(name, r.table.Variable(name).Kind).name
}

// setting is a value in force.
type setting struct {
	variable string
	// name is where the value was found: the variable or one of its aliases.
	name, value string
	kind        Kind
	secret      bool
}

func (r *Reader) find(name string, kinds ...Kind) setting {
	variable := r.table.Variable(name)
	if !slices.Contains(kinds, variable.Kind) {
		panic(fmt.Sprintf("config: %s is of kind %q, but is read as %q", name, variable.Kind, kinds))
	}
	found := setting{variable: name, name: name, value: variable.Default, kind: variable.Kind, secret: variable.Secret}
	if value, ok := r.computed[name]; ok {
		found.value = value
	}
	for _, used := range append([]string{name}, variable.Aliases...) {
		if value, ok := r.lookup(used); ok {
			found.name, found.value = used, value
			break
		}
	}
	return found
}

func (r *Reader) missing(found setting) {
	r.fail(found, fmt.Errorf(`invalid value "" for %s: no value supplied`, found.name))
}

func (r *Reader) fail(found setting, err error) {
	r.errs = append(r.errs, err)
	r.failed[found.variable] = true
}

func parse[T any](r *Reader, found setting, parser func(string) (T, error)) T {
	value, err := parser(found.value)
	if err == nil {
		return value
	}
	if found.secret {
		r.fail(found, fmt.Errorf("invalid %s for %s: the value is a secret and not shown", found.kind, found.name))
	} else {
		r.fail(found, fmt.Errorf("invalid %s %q for %s: %w", found.kind, found.value, found.name, err))
	}
	var zero T
	return zero
}
