package jobfile

import (
	"fmt"
	"unicode/utf8"
)

const (
	// maxNodes bounds the values of a document, aliases expanded: a few lines of YAML can stand for billions.
	maxNodes = 200_000
	// maxDepth bounds nesting; a job file needs four levels.
	maxDepth = 64
)

type kind int

const (
	scalar kind = iota
	list
	mapping
)

// Types of scalars. Numbers and booleans keep their source text: 1.10 stays "1.10" where a string is wanted.
const (
	typeNull  = "null"
	typeText  = "text"
	typeInt   = "integer"
	typeFloat = "number"
	typeBool  = "boolean"
)

// node is a value of a document, the same for YAML and JSON.
type node struct {
	kind         kind
	line, column int
	// typ and text are a scalar's.
	typ, text string
	items     []*node
	members   []member
}

// member is a name and value of a mapping; names may repeat.
type member struct{ name, value *node }

// describe names what n is, for "wants a list, got …".
func (n *node) describe() string {
	switch {
	case n.kind == list:
		return "a list"
	case n.kind == mapping:
		return "a mapping"
	case n.typ == typeNull:
		return "nothing"
	case n.typ == typeText:
		return "the text " + quote(n.text)
	}
	return fmt.Sprintf("the %s %s", n.typ, n.text)
}

// quote quotes a value for a message, shortened: values may be large.
func quote(text string) string {
	const most = 60
	if utf8.RuneCountInString(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q…", string([]rune(text)[:most]))
}

// positionAt turns a byte offset into line and column.
func positionAt(data []byte, offset int) (line, column int) {
	line, column = 1, 1
	for i := 0; i < offset && i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if i += size; r == '\n' {
			line, column = line+1, 1
		} else {
			column++
		}
	}
	return line, column
}

func checkUTF8(data []byte) error {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			line, column := positionAt(data, i)
			return syntaxError(line, column, "byte 0x%02x is not UTF-8: save the file as UTF-8, and give binary contents with encoding: base64", data[i])
		}
		i += size
	}
	return nil
}
