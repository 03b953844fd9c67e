package plan

import "strings"

// Table is docs/ci.md's table of the steps by run type, made from the conditions of the steps themselves.
func Table() string {
	var rows [][]string
	head, rule := []string{"step"}, []string{"---"}
	for _, kind := range RunTypes {
		head, rule = append(head, kind.String()), append(rule, "---")
	}
	rows = append(rows, head, rule)
	for _, d := range definitions {
		row := []string{d.label}
		for _, kind := range RunTypes {
			row = append(row, d.cell(kind))
		}
		rows = append(rows, row)
	}
	var text strings.Builder
	for _, row := range rows {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return text.String()
}

func (d definition) cell(kind RunType) string {
	switch {
	case d.when(run{kind: kind}):
		return "yes"
	case d.when(run{kind: kind, changes: Changes{Mirror: true}}):
		return "if the mirror changed"
	default:
		return "–"
	}
}

// FamilyTable is docs/ci.md's table of the families of machine images.
func FamilyTable() string {
	const series = "<major>-<minor>"
	var text strings.Builder
	text.WriteString("| run type | executors | docker mirrors |\n| --- | --- | --- |\n")
	for _, row := range []struct {
		name   string
		kind   RunType
		series string
	}{
		{Tagged.String(), Tagged, series},
		{InternalRelease.String(), InternalRelease, series},
		{"every other", Default, ""},
	} {
		text.WriteString("| " + row.name + " | `" + family(row.kind, "", row.series) + "` | `" + family(row.kind, mirrorThings, row.series) + "` |\n")
	}
	return text.String()
}
