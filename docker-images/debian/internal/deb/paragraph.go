package deb

import (
	"errors"
	"fmt"
	"strings"
)

// Field is one field of a paragraph. Value holds continuation lines as they stand, leading blank included, without the last newline.
type Field struct{ Name, Value string }

// Paragraph is a paragraph of deb-control(5), in its order.
type Paragraph []Field

// Get returns a field's value, or nothing. Names match in any case.
func (p Paragraph) Get(name string) string {
	for _, field := range p {
		if strings.EqualFold(field.Name, name) {
			return field.Value
		}
	}
	return ""
}

// String is the paragraph as text, with a newline at its end.
func (p Paragraph) String() string {
	var text strings.Builder
	for _, field := range p {
		separator := " "
		if field.Value == "" || field.Value[0] == '\n' {
			separator = ""
		}
		text.WriteString(field.Name + ":" + separator + field.Value + "\n")
	}
	return text.String()
}

// ParseParagraph reads exactly one paragraph.
func ParseParagraph(text string) (Paragraph, error) {
	all, err := ParseParagraphs(text)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%d paragraphs where one is expected", len(all))
	}
	return all[0], nil
}

// ParseParagraphs reads paragraphs that blank lines separate.
func ParseParagraphs(text string) ([]Paragraph, error) {
	var all []Paragraph
	var current Paragraph
	finish := func() {
		if current != nil {
			all, current = append(all, current), nil
		}
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "":
			finish()
		case line[0] == ' ' || line[0] == '\t':
			if current == nil {
				return nil, fmt.Errorf("line %d continues a field, and there is none", number)
			}
			current[len(current)-1].Value += "\n" + line
		default:
			name, value, found := strings.Cut(line, ":")
			if !found || name == "" || strings.ContainsAny(name, " \t") {
				return nil, fmt.Errorf("line %d is no field: %.60q", number, line)
			}
			if current.Get(name) != "" {
				return nil, fmt.Errorf("line %d: field %s stands there twice", number, name)
			}
			current = append(current, Field{Name: name, Value: strings.TrimSpace(value)})
		}
	}
	finish()
	if len(all) == 0 {
		return nil, errors.New("no paragraph")
	}
	return all, nil
}
