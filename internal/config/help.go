package config

import (
	"fmt"
	"strings"
)

// helpWidth bounds the lines of help texts, for terminals of 80 columns.
const helpWidth = 79

// HelpText describes every variable as plain text for a terminal, by section. It ends with a line break.
func (t Table) HelpText() string {
	var text strings.Builder
	for i, section := range t.sections() {
		if i > 0 {
			text.WriteString("\n")
		}
		fmt.Fprintf(&text, "%s\n", section.name)
		for _, variable := range section.variables {
			fmt.Fprintf(&text, "  %s (%s)\n", variable.Name, variable.summary())
			writeWrapped(&text, "      ", plain(variable.help()))
		}
	}
	if len(t.Also) > 0 {
		text.WriteString("\nAlso read\n")
	}
	for _, also := range t.Also {
		writeWrapped(&text, "  ", strings.Join(also.Names, ", "))
		writeWrapped(&text, "      ", plain(also.Description))
	}
	return text.String()
}

// summary is what stands behind the name: kind and default.
func (v Variable) summary() string {
	switch value := v.shownDefault(); {
	case v.Required:
		return string(v.Kind) + ", required"
	case value == "":
		return string(v.Kind)
	default:
		return string(v.Kind) + ", default " + plain(value)
	}
}

// help is the description with what else there is to say.
func (v Variable) help() string {
	text := v.Description
	if v.Users != "" {
		text += " Used by: " + v.Users + "."
	}
	if len(v.Aliases) > 0 {
		text += " Deprecated name: " + strings.Join(v.Aliases, ", ") + "."
	}
	return text
}

func plain(text string) string { return strings.ReplaceAll(text, "`", "") }

// writeWrapped writes text as lines of at most helpWidth columns; a longer word gets a line of its own.
func writeWrapped(out *strings.Builder, indent, text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = indent + word
		case len(line)+1+len(word) > helpWidth:
			out.WriteString(line + "\n")
			line = indent + word
		default:
			line += " " + word
		}
	}
	if line != "" {
		out.WriteString(line + "\n")
	}
}
