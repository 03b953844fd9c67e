package logview_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/logview"
)

func TestColorWanted(t *testing.T) {
	t.Parallel()
	nothing := func(string) (string, bool) { return "", false }
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	require.False(t, logview.ColorWanted(file, nothing), "a file is no terminal")
	require.False(t, logview.ColorWanted(&bytes.Buffer{}, nothing))
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	defer terminal.Close()
	require.True(t, logview.ColorWanted(terminal, nothing))
	for _, variable := range []string{"NO_COLOR=1", "TERM=dumb"} {
		require.False(t, logview.ColorWanted(terminal, func(name string) (string, bool) {
			if len(variable) > len(name) && variable[:len(name)] == name {
				return variable[len(name)+1:], true
			}
			return "", false
		}), variable)
	}
}
