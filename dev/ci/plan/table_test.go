package plan

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const page = "../../../docs/ci.md"

// TestPageShowsTheTables: what people read of the steps is what the code does.
func TestPageShowsTheTables(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	text := string(raw)
	for name, table := range map[string]string{"steps": Table(), "families": FamilyTable()} {
		begin, end := "<!-- "+name+": made by dev/ci/plan -->\n", "<!-- end of "+name+" -->\n"
		before, rest, found := strings.Cut(text, begin)
		require.True(t, found, "%s has no line %q", page, begin)
		shown, after, found := strings.Cut(rest, end)
		require.True(t, found, "%s has no line %q", page, end)
		if *update {
			text = before + begin + table + end + after
			continue
		}
		require.Equal(t, table, shown, "%s; `go test ./dev/ci/plan -update` rewrites it", page)
	}
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(text), 0o644))
	}
}

func TestPageNamesTheFlag(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "`"+RebuildFlag+"`")
}
