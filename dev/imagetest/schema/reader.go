package schema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxValues bounds what aliases can expand to.
const maxValues = 100_000

// reader turns YAML into tests and collects problems on the way: one doesn't hide the next.
type reader struct {
	file     string
	values   int
	problems []error
}

// fields says how the members of a mapping are read.
type fields map[string]func(*yaml.Node)

func (r *reader) fail(at *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s:%d:%d: %s", r.file, at.Line, at.Column, fmt.Sprintf(format, args...)))
}

// resolve follows an alias. The value is nil where there is none ("key:"), or no more is to be read.
func (r *reader) resolve(n *yaml.Node) *yaml.Node {
	if r.values++; r.values > maxValues {
		if r.values == maxValues+1 {
			r.fail(n, "more than %d values once aliases are expanded", maxValues)
		}
		return nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.ShortTag() == "!!null" {
		return nil
	}
	return n
}

// mapping reads a mapping with these members and no others.
func (r *reader) mapping(n *yaml.Node, what string, known fields) {
	if n = r.resolve(n); n == nil {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s wants a mapping, got %s", what, describe(n))
		return
	}
	first := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, found := known[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			r.fail(key, "%s: the name of a member wants plain text, got %s", what, describe(key))
		case !found:
			r.fail(key, "%s has no member %q; it has %s", what, key.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		case first[key.Value] != 0:
			r.fail(key, "%s stands here twice: first on line %d", key.Value, first[key.Value])
		default:
			first[key.Value] = key.Line
			read(value)
		}
	}
}

// list reads every item of a list.
func (r *reader) list(n *yaml.Node, what string, read func(*yaml.Node)) {
	if n = r.resolve(n); n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%s wants a list, got %s", what, describe(n))
		return
	}
	for _, item := range n.Content {
		read(item)
	}
}

// text reads a scalar as it is written: 8080 and true are texts too.
func (r *reader) text(into *string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n = r.resolve(n); n == nil {
			return
		}
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!binary" {
			r.fail(n, "%s wants text, got %s", what, describe(n))
			return
		}
		*into = n.Value
	}
}

func (r *reader) texts(into *[]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, what, func(item *yaml.Node) {
			var text string
			r.text(&text, what)(item)
			*into = append(*into, text)
		})
	}
}

// words reads a list that matters even when it is empty.
func (r *reader) words(into **[]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if r.resolve(n) == nil {
			return
		}
		words := []string{}
		r.texts(&words, what)(n)
		*into = &words
	}
}

func (r *reader) boolean(into *bool, what string) func(*yaml.Node) {
	return func(n *yaml.Node) { decode(r, n, into, what, "true or false") }
}

func (r *reader) integer(into *int, what string) func(*yaml.Node) {
	return func(n *yaml.Node) { decode(r, n, into, what, "a whole number") }
}

// decode leaves the words of YAML ("yes" is true, 0o17 is 15) to the YAML package, but would not have 1.5 be 1, nor "yes" be more than a text.
func decode[T any](r *reader, n *yaml.Node, into *T, what, wants string) {
	if n = r.resolve(n); n == nil {
		return
	}
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if quoted || n.ShortTag() == "!!float" || n.Decode(into) != nil {
		r.fail(n, "%s wants %s without quotes, got %s", what, wants, describe(n))
	}
}

func (r *reader) patterns(into *[]Pattern, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, what, func(item *yaml.Node) {
			var text string
			r.text(&text, what)(item)
			if pattern := r.pattern(item, text, what); pattern != nil {
				*into = append(*into, Pattern{pattern})
			}
		})
	}
}

func (r *reader) pattern(at *yaml.Node, text, what string) *regexp.Regexp {
	pattern, err := regexp.Compile(text)
	if err != nil {
		r.fail(at, "%s: %q is no regular expression: %v", what, text, err)
	}
	return pattern
}

// describe names what a value is, for "wants a list, got …".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	case yaml.AliasNode:
		return "the alias *" + n.Value
	}
	const most = 40
	text := n.Value
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}
