package steplog

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
)

func TestOneEntry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, map[string]string{"hunter2": "<pw>"}, Options{})
		started := time.Now()
		entry := b.Open("step.docker.0", []string{"docker", "run", "-e", "P=hunter2", "hunter2"})
		synctest.Wait()
		require.Equal(t, []string{"add step.docker.0"}, b.frontend.takeCalls())
		first := b.frontend.entry(1)
		require.Equal(t, []string{"docker", "run", "-e", "P=<pw>", "<pw>"}, first.Command)
		require.True(t, started.Equal(first.StartTime))
		require.Empty(t, first.Out)
		require.Nil(t, first.ExitCode)
		require.Nil(t, first.DurationMs)

		write(t, entry.Stdout(), "one\nhun")
		write(t, entry.Stderr(), "pro\rgress\r\n")
		write(t, entry, "a note on hunter2\n")
		synctest.Wait()
		require.Empty(t, b.frontend.takeCalls(), "updates wait for the interval")
		advance(time.Second)
		require.Equal(t, []string{"update step.docker.0"}, b.frontend.takeCalls())
		require.Equal(t, "stdout: one\nstderr: pro\rgress\r\na note on <pw>\n", b.frontend.entry(1).Out)
		advance(5 * time.Second)
		require.Empty(t, b.frontend.takeCalls(), "nothing has changed")

		write(t, entry.Stdout(), "ter2 two")
		advance(1500 * time.Millisecond)
		require.Empty(t, b.frontend.takeCalls(), "a line without its end is not shown yet")
		entry.Close(3)
		synctest.Wait()
		require.Equal(t, []string{"update step.docker.0 3"}, b.frontend.takeCalls(), "the last update doesn't wait")
		last := b.frontend.entry(1)
		require.Equal(t, "stdout: one\nstderr: pro\rgress\r\na note on <pw>\nstdout: <pw> two\n", last.Out)
		require.Equal(t, 3, *last.ExitCode)
		require.Equal(t, 7500, *last.DurationMs)
		require.Equal(t, first.StartTime, last.StartTime)

		entry.Close(4)
		write(t, entry.Stdout(), "late\n")
		write(t, entry, "late\n")
		b.flush(t)
		require.Equal(t, last, b.frontend.entry(1), "closing twice and writing afterwards change nothing")
	})
}

func TestEntryWithoutCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		entry := b.Open("teardown.fs", nil)
		write(t, entry, "no newline at the end")
		entry.Close(0)
		b.flush(t)
		require.Equal(t, []string{"add teardown.fs 0"}, b.frontend.takeCalls(), "one call tells all of an entry that is over at once")
		require.Nil(t, b.frontend.entry(1).Command)
		require.Equal(t, "no newline at the end", b.frontend.entry(1).Out)
		require.Equal(t, 0, *b.frontend.entry(1).DurationMs)
	})
}

func TestOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		var want []string
		background := b.Open("background", nil)
		synctest.Wait()
		for i := range 20 {
			key := fmt.Sprintf("step.%02d", i)
			entry := b.Open(key, nil)
			write(t, background, "note\n")
			if i%2 == 0 {
				advance(10 * time.Millisecond)
				want = append(want, "add "+key, "update "+key+" 0")
			} else {
				want = append(want, "add "+key+" 0")
			}
			entry.Close(0)
		}
		synctest.Wait()
		require.Equal(t, append([]string{"add background"}, want...), b.frontend.takeCalls(),
			"the last update of an entry goes before the next is added")
		advance(time.Second)
		require.Equal(t, []string{"update background"}, b.frontend.takeCalls())
		background.Close(0)
		b.flush(t)
	})
}

func TestMaskingAcrossWritesAndLines(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{"first line\nsecond line": "<key>", "s3cr3t": "<s>"}
	tests := map[string]struct {
		writes []string
		want   string
	}{
		"in one write":          {[]string{"a s3cr3t b\n"}, "stdout: a <s> b\n"},
		"over two writes":       {[]string{"a s3c", "r3t b\n"}, "stdout: a <s> b\n"},
		"byte by byte":          {strings.Split("a s3cr3t b\n", ""), "stdout: a <s> b\n"},
		"over two lines":        {[]string{"> first line\nsecond line\n"}, "stdout: > <key>\n"},
		"over lines and writes": {[]string{"first line", "\n", "second", " line\n"}, "stdout: <key>\n"},
		"with a terminal's CR":  {[]string{"first line\r\nsecond line\r\n"}, "stdout: <key>\r\n"},
		"one of the lines":      {[]string{"x second line x\n"}, "stdout: x <key> x\n"},
		"begun only":            {[]string{"s3cr3", "\n", "s3cr3"}, "stdout: s3cr3\nstdout: s3cr3\n"},
		"base64":                {[]string{"Zmlyc3QgbGluZQ", "pzZWNvbmQgbGluZQ==\n"}, "stdout: <key>\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, secrets, Options{})
				entry := b.Open("k", nil)
				for i, text := range test.writes {
					write(t, entry.Stdout(), text)
					write(t, entry.Stderr(), "s")
					if i%3 == 0 {
						advance(time.Second)
					}
				}
				entry.Close(0)
				b.flush(t)
				want := test.want + "stderr: " + strings.Repeat("s", len(test.writes)) + "\n"
				require.Equal(t, want, b.frontend.entry(1).Out)
				requireGrowing(t, b.frontend.outs[1])
			})
		})
	}
}

func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const entries, count = 8, 300
		b := setup(t, map[string]string{"s3cr3t": "<s>"}, Options{})
		var group sync.WaitGroup
		for i := range entries {
			entry := b.Open(fmt.Sprint(i), nil)
			var writers sync.WaitGroup
			writers.Go(func() { writeLines(t, entry.Stdout(), "out s3cr3t", count) })
			writers.Go(func() { writeLines(t, entry.Stderr(), "err s3cr3t", count) })
			writers.Go(func() { writeLines(t, entry, "note s3cr3t", count) })
			group.Go(func() {
				writers.Wait()
				entry.Close(i)
			})
		}
		group.Wait()
		b.flush(t)
		for i := range entries {
			require.Equal(t, i, *b.frontend.entry(i + 1).ExitCode)
			counts := map[string]int{}
			for line := range strings.Lines(b.frontend.entry(i + 1).Out) {
				counts[line]++
			}
			require.Equal(t, map[string]int{"stdout: out <s>\n": count, "stderr: err <s>\n": count, "note <s>\n": count}, counts)
			requireGrowing(t, b.frontend.outs[i+1])
		}
	})
}

// writeLines writes lines in pieces of three bytes.
func writeLines(t *testing.T, w interface{ Write([]byte) (int, error) }, line string, count int) {
	text := []byte(strings.Repeat(line+"\n", count))
	for i := 0; i < len(text); i += 3 {
		if _, err := w.Write(text[i:min(len(text), i+3)]); err != nil {
			t.Error(err)
		}
		if i%600 == 0 {
			<-time.After(100 * time.Millisecond)
		}
	}
}

func TestOpenWaitsForSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{MaxPending: 2})
		first := b.Open("first", nil)
		second := b.Open("second", nil)
		var third command.Entry
		opened := make(chan struct{})
		go func() {
			third = b.Open("third", nil)
			close(opened)
		}()
		advance(time.Minute)
		require.Equal(t, []string{"add first", "add second"}, b.frontend.takeCalls())
		first.Close(0)
		<-opened
		synctest.Wait()
		require.Equal(t, b.frontend.entry(2).StartTime.Add(time.Minute), b.frontend.entry(3).StartTime, "waiting doesn't count")
		require.Equal(t, []string{"update first 0", "add third"}, b.frontend.takeCalls())
		second.Close(0)
		third.Close(0)
		b.flush(t)
	})
}

func TestOpenGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{MaxPending: 1})
		first := b.Open("first", nil)
		began := time.Now()
		second := b.Open("second", nil)
		require.Equal(t, 2*time.Minute, time.Since(began))
		write(t, second.Stdout(), "goes nowhere\n")
		second.Close(0)
		first.Close(0)
		err := b.Flush(t.Context())
		require.EqualError(t, err, `log entry "second": dropped, since 1 others were still open or unsent after 2m0s`)
		require.Equal(t, []string{"add first", "update first 0"}, b.frontend.takeCalls())
	})
}
