package machine

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
)

func readDoc(t *testing.T) string {
	text, err := os.ReadFile("../../../docs/state-machine.md")
	require.NoError(t, err)
	return string(text)
}

// orDash is a table's cell.
func orDash[T ~string](text T) string {
	if text == "" {
		return "-"
	}
	return string(text)
}

func TestDocTable(t *testing.T) {
	t.Parallel()
	want := []string{"| From | Event | When | To | Cause | Counts |", "| --- | --- | --- | --- | --- | --- |"}
	for _, arrow := range Arrows() {
		cells := []string{
			orDash(arrow.From), orDash(arrow.Event), orDash(arrow.When), orDash(arrow.To), orDash(arrow.Cause), orDash(arrow.Counts),
		}
		want = append(want, "| "+strings.Join(cells, " | ")+" |")
	}
	_, after, found := strings.Cut(readDoc(t), "\n"+want[0]+"\n")
	require.True(t, found, "the page has the table's head")
	table, _, _ := strings.Cut(after, "\n\n")
	require.Equal(t, strings.Join(want[1:], "\n"), table)
}

func TestDocDiagram(t *testing.T) {
	t.Parallel()
	type line struct{ from, to, event string }
	node := func(state jobs.State) string {
		if state == None {
			return "[*]"
		}
		return string(state)
	}
	want := make(map[line]bool)
	for _, arrow := range Arrows() {
		want[line{node(arrow.From), node(arrow.To), string(arrow.Event)}] = true
	}
	for _, state := range jobs.States() {
		if state.Final() {
			want[line{string(state), "[*]", ""}] = true
		}
	}
	got := make(map[line]bool)
	for _, match := range regexp.MustCompile(`(?m)^    (\S+) --> (\S+?)(?:: (\S+))?$`).FindAllStringSubmatch(readDoc(t), -1) {
		got[line{match[1], match[2], match[3]}] = true
	}
	require.Equal(t, want, got)
}
