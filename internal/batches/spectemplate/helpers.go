package spectemplate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// helpers are the functions of batch specs beside those of Go's templates.
var helpers = template.FuncMap{
	"join":    strings.Join,
	"split":   strings.Split,
	"replace": strings.ReplaceAll,
	"join_if": joinIf,
	"matches": matches,
}

// joinIf joins those elements that aren't empty.
func joinIf(separator string, elements ...string) string {
	elements = slices.DeleteFunc(slices.Clone(elements), func(s string) bool { return s == "" })
	return strings.Join(elements, separator)
}

// matches reports whether the whole text matches a glob: * and ** are any text, slashes included, ? is any character, [abc], [a-z] and [!a-z]
// are one of a class, {a,b} is one of several globs, and \ takes the next character as it is.
func matches(text, glob string) (bool, error) {
	expression, err := expression(glob)
	if err != nil {
		return false, fmt.Errorf("the glob %q: %w", glob, err)
	}
	compiled, err := regexp.Compile(`(?s)\A(?:` + expression + `)\z`)
	if err != nil {
		return false, fmt.Errorf("the glob %q: %w", glob, err)
	}
	return compiled.MatchString(text), nil
}

// expression returns the glob as a regular expression, of which the time to match is linear.
func expression(glob string) (string, error) {
	var out strings.Builder
	depth := 0
	runes := []rune(glob)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '*':
			out.WriteString(".*")
		case r == '?':
			out.WriteByte('.')
		case r == '\\':
			if i++; i == len(runes) {
				return "", fmt.Errorf(`the last \ has nothing behind it`)
			}
			out.WriteString(regexp.QuoteMeta(string(runes[i])))
		case r == '[':
			class, width, err := class(runes[i+1:])
			if err != nil {
				return "", err
			}
			out.WriteString(class)
			i += width
		case r == '{':
			depth++
			out.WriteString("(?:")
		case r == '}' && depth > 0:
			depth--
			out.WriteByte(')')
		case r == ',' && depth > 0:
			out.WriteByte('|')
		default:
			out.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	if depth > 0 {
		return "", fmt.Errorf("a { is never closed")
	}
	return out.String(), nil
}

// class returns the regular expression of what stands behind a "[", and its width with the closing bracket.
func class(rest []rune) (string, int, error) {
	var out strings.Builder
	out.WriteByte('[')
	i := 0
	if i < len(rest) && rest[i] == '!' {
		out.WriteByte('^')
		i++
	}
	for first := i; i < len(rest); i++ {
		r := rest[i]
		if r == ']' && i > first {
			out.WriteByte(']')
			return out.String(), i + 1, nil
		}
		if r == '-' && i > first && i+1 < len(rest) && rest[i+1] != ']' {
			out.WriteByte('-')
			continue
		}
		if r == '\\' && i+1 < len(rest) {
			i++
			r = rest[i]
		}
		// Written as a number, no character has a meaning of its own.
		fmt.Fprintf(&out, `\x{%x}`, r)
	}
	return "", 0, fmt.Errorf("a [ is never closed")
}
