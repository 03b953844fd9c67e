package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/logview"
)

const (
	outputTable = "table"
	outputJSON  = "json"
)

func outputOf(c *cli.Context) (string, error) {
	switch format := c.String(flagOutput); format {
	case outputTable, outputJSON:
		return format, nil
	default:
		return "", usageError{fmt.Errorf("--output %q: wants table or json", format)}
	}
}

func wantsJSON(c *cli.Context) bool { return c.String(flagOutput) == outputJSON }

// printAnswer prints an answer of the API, given why there is none, as it came or as a table.
func printAnswer[T any](w world, c *cli.Context, answer T, err error, table func(T) error) error {
	switch {
	case err != nil:
		return err
	case wantsJSON(c):
		return w.printJSON(answer)
	}
	return table(answer)
}

// printJSON prints a value as the API has it.
func (w world) printJSON(value any) error {
	encoder := json.NewEncoder(w.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// printTable prints rows below a heading, columns aligned.
func printTable(out io.Writer, heading string, rows [][]string) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.ReplaceAll(heading, "|", "\t"))
	for _, row := range rows {
		for i := range row {
			row[i] = cell(row[i])
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// cell makes what came from elsewhere one harmless line.
func cell(text string) string {
	return logview.Clean(strings.Join(strings.Fields(text), " "), false)
}

// span is a duration with two units at most.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// ran is how long something took, or takes by now; empty before it began.
func (w world) ran(started, ended *time.Time) string {
	switch {
	case started == nil:
		return ""
	case ended == nil:
		return span(w.now().Sub(*started))
	}
	return span(ended.Sub(*started))
}
