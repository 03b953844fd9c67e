package config

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown describes every variable as tables, one for each section under a heading of the given level. It ends with a
// line break.
func (t Table) Markdown(level int) string {
	var text strings.Builder
	heading := strings.Repeat("#", level)
	for _, section := range t.sections() {
		fmt.Fprintf(&text, "%s %s\n\n", heading, section.name)
		writeHead(&text, section.columns())
		for _, variable := range section.variables {
			cells := []string{"`" + variable.Name + "`", string(variable.Kind), variable.markdownDefault(), variable.Users, variable.markdownMeaning()}
			if !section.hasUsers() {
				cells = slices.Delete(cells, 3, 4)
			}
			writeRow(&text, cells...)
		}
		text.WriteString("\n")
	}
	if len(t.Also) > 0 {
		fmt.Fprintf(&text, "%s Also read\n\n", heading)
		writeHead(&text, []string{"Variable", "Meaning"})
	}
	for _, also := range t.Also {
		writeRow(&text, "`"+strings.Join(also.Names, "`, `")+"`", also.Description)
	}
	return strings.TrimRight(text.String(), "\n") + "\n"
}

// columns leaves out "Used by" where no variable has users.
func (s section) columns() []string {
	if s.hasUsers() {
		return []string{"Variable", "Kind", "Default", "Used by", "Meaning"}
	}
	return []string{"Variable", "Kind", "Default", "Meaning"}
}

func (s section) hasUsers() bool {
	return slices.ContainsFunc(s.variables, func(v Variable) bool { return v.Users != "" })
}

func (v Variable) markdownDefault() string {
	if v.Required {
		return "**required**"
	}
	return v.shownDefault()
}

func (v Variable) markdownMeaning() string {
	text := v.Description
	if v.Secret {
		text += " A secret: it is never printed."
	}
	if len(v.Aliases) > 0 {
		text += " Deprecated name: `" + strings.Join(v.Aliases, "`, `") + "`."
	}
	return text
}

func writeHead(out *strings.Builder, columns []string) {
	writeRow(out, columns...)
	out.WriteString(strings.Repeat("| --- ", len(columns)) + "|\n")
}

// writeRow writes one row of a table. A bar inside a cell would end it, also within backquotes.
func writeRow(out *strings.Builder, cells ...string) {
	for _, cell := range cells {
		out.WriteString("| ")
		if cell != "" {
			out.WriteString(strings.ReplaceAll(cell, "|", `\|`) + " ")
		}
	}
	out.WriteString("|\n")
}
