package jobfile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// reader turns a document into a spec and collects problems on the way: one bad member doesn't hide the next.
type reader struct {
	env      func(string) (string, bool)
	problems []Problem
}

// place is a node and its path from the job.
type place struct {
	node *node
	path string
}

func (p place) item(i int) place { return place{p.node.items[i], fmt.Sprintf("%s[%d]", p.path, i)} }

// under returns the path of a member of p.
func (p place) under(name string) string {
	switch {
	case !plainName.MatchString(name):
		return p.path + "[" + quote(name) + "]"
	case p.path == "":
		return name
	}
	return p.path + "." + name
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,60}$`)

// fail records a problem at p.
func (r *reader) fail(p place, format string, args ...any) {
	r.problems = append(r.problems, Problem{p.node.line, p.node.column, p.path, fmt.Sprintf(format, args...)})
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	told := min(len(r.problems), maxProblems)
	return &Error{Problems: r.problems[:told], Omitted: len(r.problems) - told}
}

// entries returns a mapping's members in the order of the file. Repeated and unnamed members are problems and left out. False
// when p is no mapping.
func (r *reader) entries(p place, wants string) ([]entry, bool) {
	if p.node.kind != mapping {
		r.fail(p, "wants %s, got %s", wants, p.node.describe())
		return nil, false
	}
	first := make(map[string]*node, len(p.node.members))
	var out []entry
	for _, m := range p.node.members {
		if m.name.kind != scalar || m.name.typ == typeNull {
			r.fail(place{m.name, p.path}, "a member's name is text, got %s", m.name.describe())
			continue
		}
		name := m.name.text
		named := place{m.name, p.under(name)}
		if before, ok := first[name]; ok {
			r.fail(named, "stands here twice: first on line %d", before.line)
			continue
		}
		first[name] = m.name
		out = append(out, entry{name, named, place{m.value, named.path}})
	}
	return out, true
}

// entry is a member: where its name and where its value stands.
type entry struct {
	name         string
	named, value place
}

// members returns the values of a mapping that knows only these members; others are problems.
func (r *reader) members(p place, wants string, known ...string) (map[string]place, bool) {
	entries, ok := r.entries(p, wants)
	out := make(map[string]place, len(entries))
	for _, e := range entries {
		if !slices.Contains(known, e.name) {
			r.fail(e.named, "unknown member%s; known here: %s", suggestion(e.name, known), strings.Join(known, ", "))
			continue
		}
		out[e.name] = e.value
	}
	return out, ok
}

// missing records that the mapping p lacks a member, unless it has unknown ones: a misspelt member is told once.
func (r *reader) missing(p place, have map[string]place, message string) {
	if len(have) == len(p.node.members) {
		r.fail(p, "%s", message)
	}
}

// text returns a scalar's text: numbers and booleans as they are written.
func (r *reader) text(p place) (string, bool) {
	switch {
	case p.node.kind != scalar:
		r.fail(p, "wants text, got %s", p.node.describe())
	case p.node.typ == typeNull:
		r.fail(p, `has no value: write "" for the empty text, or remove the member`)
	case strings.ContainsRune(p.node.text, 0):
		r.fail(p, "has a NUL character, which can't be passed on to a program")
	default:
		return p.node.text, true
	}
	return "", false
}

// matching returns a text that fits a rule.
func (r *reader) matching(p place, rule rule) (string, bool) {
	text, ok := r.text(p)
	if ok && !rule.pattern.MatchString(text) {
		r.fail(p, "%s is no %s: %s", quote(text), rule.what, rule.wants)
		return "", false
	}
	return text, ok
}

// texts returns a list of texts; wants says what the list is, "a list of patterns" for example.
func (r *reader) texts(p place, wants string) []string {
	if p.node.kind != list {
		r.fail(p, "wants %s, got %s", wants, p.node.describe())
		return nil
	}
	if len(p.node.items) == 0 {
		r.fail(p, "is empty: wants %s", wants)
	}
	var out []string
	for i := range p.node.items {
		if text, ok := r.text(p.item(i)); ok {
			out = append(out, text)
		}
	}
	return out
}

func (r *reader) boolean(p place) bool {
	if p.node.kind != scalar || p.node.typ != typeBool {
		r.fail(p, "wants true or false without quotes, got %s", p.node.describe())
		return false
	}
	return strings.EqualFold(p.node.text, "true")
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)

func (r *reader) integer(p place, least, most int64) int64 {
	if p.node.kind != scalar || p.node.typ != typeInt || !decimal.MatchString(p.node.text) {
		r.fail(p, "wants a whole number from %d to %d without quotes, got %s", least, most, p.node.describe())
		return 0
	}
	value, _ := strconv.ParseInt(p.node.text, 10, 64)
	if value < least || value > most {
		r.fail(p, "%d is out of range: wants a whole number from %d to %d", value, least, most)
		return 0
	}
	return value
}
