package jobfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"
)

// parseJSON reads exactly one JSON value. The YAML parser can't stand in for it: YAML has no surrogate pairs and folds some
// characters that JSON strings may contain.
func parseJSON(data []byte) (*node, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, syntaxError(1, 1, "the job file is empty: it needs at least steps")
	}
	p := jsonParser{data: data, decoder: json.NewDecoder(bytes.NewReader(data)), line: 1, column: 1}
	p.decoder.UseNumber()
	root, err := p.value(0)
	if err != nil {
		return nil, p.explain(err)
	}
	p.skip()
	if p.offset < len(data) {
		return nil, syntaxError(p.line, p.column, "something follows the job's closing brace: a file holds one job")
	}
	return root, nil
}

type jsonParser struct {
	data    []byte
	decoder *json.Decoder
	nodes   int
	// offset, line and column are where the next token is looked for.
	offset, line, column int
}

// value reads the next value.
func (p *jsonParser) value(depth int) (*node, error) {
	p.skip()
	n := &node{line: p.line, column: p.column}
	if p.nodes++; p.nodes > maxNodes {
		return nil, syntaxError(p.line, p.column, "more than %d values", maxNodes)
	}
	if depth > maxDepth {
		return nil, syntaxError(p.line, p.column, "nested deeper than %d levels", maxDepth)
	}
	start := p.offset
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	p.advance(int(p.decoder.InputOffset()))
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			n.kind = list
			return n, p.list(n, depth)
		}
		n.kind = mapping
		return n, p.object(n, depth)
	case string:
		n.typ, n.text = typeText, token
		if strings.ContainsRune(token, utf8.RuneError) && loneSurrogate(p.data[start:p.offset]) {
			return nil, syntaxError(n.line, n.column, `the string has half a surrogate pair (\ud800 to \udfff): write both halves, or the character itself`)
		}
	case json.Number:
		n.typ, n.text = typeInt, token.String()
		if strings.ContainsAny(n.text, ".eE") {
			n.typ = typeFloat
		}
	case bool:
		n.typ, n.text = typeBool, string(p.data[start:p.offset])
	case nil:
		n.typ, n.text = typeNull, "null"
	}
	return n, nil
}

func (p *jsonParser) list(n *node, depth int) error {
	for p.decoder.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	return p.end()
}

func (p *jsonParser) object(n *node, depth int) error {
	for p.decoder.More() {
		name, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		value, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{name, value})
	}
	return p.end()
}

func (p *jsonParser) end() error {
	_, err := p.decoder.Token()
	p.advance(int(p.decoder.InputOffset()))
	return err
}

// skip moves to the beginning of the next token.
func (p *jsonParser) skip() {
	to := p.offset
	for to < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[to]) >= 0 {
		to++
	}
	p.advance(to)
}

func (p *jsonParser) advance(to int) {
	line, column := positionAt(p.data[p.offset:], to-p.offset)
	if line > 1 {
		p.line, p.column = p.line+line-1, column
	} else {
		p.column += column - 1
	}
	p.offset = to
}

func (p *jsonParser) explain(err error) error {
	var problems *Error
	if errors.As(err, &problems) {
		return problems
	}
	// The decoder's own offsets are relative to its buffer; those of Unmarshal are the input's.
	var whole json.RawMessage
	var syntax *json.SyntaxError
	offset, message := len(p.data), "the file ends too early: a closing brace, bracket or quote is missing"
	if errors.As(json.Unmarshal(p.data, &whole), &syntax) && syntax.Error() != "unexpected end of JSON input" {
		offset, message = max(int(syntax.Offset)-1, 0), syntax.Error()
	}
	line, column := positionAt(p.data, offset)
	return syntaxError(line, column, "not valid JSON: %s", message)
}

var (
	surrogates = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	surrogate  = regexp.MustCompile(`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)
	backslash  = []byte(`\\`)
)

// loneSurrogate reports whether a JSON string's source has a surrogate outside a pair; Go's decoder would replace it silently.
func loneSurrogate(source []byte) bool {
	source = bytes.ReplaceAll(source, backslash, nil)
	return surrogate.Match(surrogates.ReplaceAll(source, nil))
}
