package commandtest_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command/commandtest"
)

func TestLogKeepsEntriesInOrder(t *testing.T) {
	t.Parallel()
	log := commandtest.NewLog()
	first := log.Open("a", []string{"git", "init"})
	second := log.Open("b", nil)
	write := func(w io.Writer, text string) {
		_, err := io.WriteString(w, text)
		require.NoError(t, err)
	}
	write(first.Stdout(), "one\ntw")
	write(first.Stderr(), "oops")
	write(first, "note\n")
	write(first.Stdout(), "o\n")
	log.Await(t, "a", "oops")
	require.Equal(t, "stdout: one\nnote\nstdout: two\n", log.Entry(t, "a").Out)
	first.Close(3)
	first.Close(0)
	second.Close(0)
	log.RequireClosed(t)
	require.Equal(t, []commandtest.Entry{
		{Key: "a", Command: []string{"git", "init"}, Out: "stdout: one\nnote\nstdout: two\nstderr: oops\n", Closed: true, ExitCode: 3},
		{Key: "b", Closed: true},
	}, log.Entries())
}

func TestAwaitWakesUpWithTheOutput(t *testing.T) {
	t.Parallel()
	log := commandtest.NewLog()
	go func() {
		entry := log.Open("a", nil)
		_, _ = io.WriteString(entry.Stdout(), "ready")
		entry.Close(0)
	}()
	log.Await(t, "a", "ready")
	require.Equal(t, []string{"a"}, log.Keys())
}
