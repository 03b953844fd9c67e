package logview

import (
	"io"
	"os"

	"golang.org/x/term"
)

// ColorWanted reports whether colours may be written to w: it is a terminal that knows them, and NO_COLOR (no-color.org) is not
// set. Env looks up the environment.
func ColorWanted(w io.Writer, env func(string) (string, bool)) bool {
	if value, _ := env("NO_COLOR"); value != "" {
		return false
	}
	if value, _ := env("TERM"); value == "dumb" {
		return false
	}
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
