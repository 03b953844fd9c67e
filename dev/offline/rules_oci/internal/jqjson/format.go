package jqjson

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Format returns the text that jq prints for the value, without the newline that ends it.
func Format(value any) []byte {
	var b bytes.Buffer
	format(&b, value, "\n")
	return b.Bytes()
}

// format writes a value; newline is a line's end with the indent of the line that the value began in.
func format(b *bytes.Buffer, value any, newline string) {
	switch v := value.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		fmt.Fprint(b, v)
	case int, int64:
		fmt.Fprint(b, v)
	case json.Number:
		b.WriteString(v.String())
	case string:
		formatString(b, v)
	case Array:
		formatArray(b, v, newline)
	case *Object:
		formatObject(b, v, newline)
	default:
		panic(fmt.Sprintf("jqjson: %T is no JSON value", value)) // a fault of the program, never of what it reads
	}
}

func formatArray(b *bytes.Buffer, array Array, newline string) {
	if len(array) == 0 {
		b.WriteString("[]")
		return
	}
	separator := "["
	for _, value := range array {
		b.WriteString(separator + newline + "  ")
		format(b, value, newline+"  ")
		separator = ","
	}
	b.WriteString(newline + "]")
}

func formatObject(b *bytes.Buffer, object *Object, newline string) {
	if len(object.keys) == 0 {
		b.WriteString("{}")
		return
	}
	separator := "{"
	for _, key := range object.keys {
		b.WriteString(separator + newline + "  ")
		formatString(b, key)
		b.WriteString(": ")
		format(b, object.values[key], newline+"  ")
		separator = ","
	}
	b.WriteString(newline + "}")
}

// formatString escapes what must be escaped and nothing else; encoding/json escapes more.
func formatString(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			if r < ' ' || r == 0x7f {
				fmt.Fprintf(b, `\u%04x`, r)
			} else {
				b.WriteRune(r)
			}
		}
	}
	b.WriteByte('"')
}
