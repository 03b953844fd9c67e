package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config"
)

var described = config.Table{
	Variables: []config.Variable{
		{Name: "A", Kind: config.String, Required: true, Secret: true, Section: "First", Users: "all", Description: "The `a` of `x|y`."},
		{Name: "B", Kind: config.Int, Default: "4", Section: "Second", Aliases: []string{"OLD_B"},
			Description: "A long description that has to be broken into several lines, so that it can be read in a terminal."},
		{Name: "C", Kind: config.Optional, Section: "First", DefaultText: "as `A`", Description: "Last."},
	},
	Also: []config.Also{{Names: []string{"D", "E"}, Description: "By `others`."}},
}

func TestHelpText(t *testing.T) {
	t.Parallel()
	require.Equal(t, `First
  A (text, required)
      The a of x|y. Used by: all.
  C (optional text, default as A)
      Last.

Second
  B (int, default 4)
      A long description that has to be broken into several lines, so that it
      can be read in a terminal. Deprecated name: OLD_B.

Also read
  D, E
      By others.
`, described.HelpText())
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	require.Equal(t, strings.ReplaceAll(`## First

| Variable | Kind | Default | Used by | Meaning |
| --- | --- | --- | --- | --- |
| 'A' | text | **required** | all | The 'a' of 'x\|y'. A secret: it is never printed. |
| 'C' | optional text | as 'A' | | Last. |

## Second

| Variable | Kind | Default | Meaning |
| --- | --- | --- | --- |
| 'B' | int | '4' | A long description that has to be broken into several lines, so that it can be read in a terminal. Deprecated name: 'OLD_B'. |

## Also read

| Variable | Meaning |
| --- | --- |
| 'D', 'E' | By 'others'. |
`, "'", "`"), described.Markdown(2))
}
