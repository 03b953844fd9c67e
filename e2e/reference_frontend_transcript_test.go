//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// transcript renders what an executor sent for comparing with a golden file, with placeholders for what differs from run to run.
type transcript struct{ known *strings.Replacer }

// newTranscript knows the names of an executor; more are pairs of a text and its placeholder.
func newTranscript(executor *harness.Executor, more ...string) transcript {
	known := []string{executor.Name, "<executor>", executor.TempDir, "<tmp>", frontendtest.Token, "<password>"}
	return transcript{strings.NewReplacer(append(known, more...)...)}
}

var volatile = []struct {
	pattern     *regexp.Regexp
	placeholder string
}{
	{regexp.MustCompile(`workspace-(\d+)-[0-9A-Z]+`), "workspace-$1-<random>"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:<port>"},
	{regexp.MustCompile(` in [0-9.]+[µnm]?s\b`), " in <duration>"},
	{regexp.MustCompile(`"startTime": "[^"]+"`), `"startTime": "<time>"`},
	{regexp.MustCompile(`"durationMs": \d+`), `"durationMs": <milliseconds>`},
	{regexp.MustCompile(`"architecture": ".+"`), `"architecture": "<architecture>"`},
	{regexp.MustCompile(`"gitVersion": ".+"`), `"gitVersion": "<version>"`},
	{regexp.MustCompile(`"prometheusMetrics": ".+"`), `"prometheusMetrics": "<metrics>"`},
	{regexp.MustCompile(`Bearer [0-9a-f]{40}`), "Bearer <token>"},
	{regexp.MustCompile(`Content-Length: \d+`), "Content-Length: <n>"},
}

func (s transcript) text(text string) string {
	text = s.known.Replace(text)
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.placeholder)
	}
	return text
}

// requests renders all requests that want holds for, each kind once, sorted: how often something is asked, and which of two things
// that happen at once is first, is not the same each time.
func (s transcript) requests(t testing.TB, requests []frontendtest.Request, want func(frontendtest.Request) bool) string {
	t.Helper()
	kinds := make(map[string]bool)
	for _, r := range requests {
		if want(r) {
			kinds[s.text(head(r)+"\n"+body(t, r))] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(kinds)), "\n")
}

// head is the first line and all headers. Of git's own headers only those are kept that every git sends.
func head(r frontendtest.Request) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s\n", r.Method, r.Path)
	ofGit := []string{"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Content-Encoding", "Content-Length", "Pragma", "User-Agent"}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !strings.HasPrefix(r.Path, "/.executors/git/") || !slices.Contains(ofGit, name) {
			fmt.Fprintf(&text, "%s: %s\n", name, strings.Join(r.Header[name], " | "))
		}
	}
	return text.String()
}

// body is the JSON with one member a line. Of a log entry the members that tell how it goes on are blanked, or left out where the
// entry is added: it begins with whatever is known by then (spec section 6).
func body(t testing.TB, r frontendtest.Request) string {
	t.Helper()
	if len(r.Body) == 0 || strings.HasPrefix(r.Path, "/.executors/git/") {
		return ""
	}
	var text bytes.Buffer
	require.NoError(t, json.Indent(&text, r.Body, "", "  "), "%s: %s", r.Path, r.Body)
	out := outMember.ReplaceAllString(text.String(), `"out": "<out>"`)
	if strings.HasSuffix(r.Path, "/addExecutionLogEntry") {
		out = outcomeMembers.ReplaceAllString(out, "")
	}
	return out + "\n"
}

var (
	outMember      = regexp.MustCompile(`"out": "(?:[^"\\]|\\.)+"`)
	outcomeMembers = regexp.MustCompile(`,\n  "(?:exitCode|out|durationMs)": [^\n]*[^\n,]`)
)

// log renders finished entries: key, words, exit code and output, all of stdout before stderr, since which of them is read first
// is chance. What git itself prints is left out.
func (s transcript) log(t testing.TB, entries []api.ExecutionLogEntry) string {
	t.Helper()
	var text strings.Builder
	for _, entry := range entries {
		require.NotNil(t, entry.ExitCode, "%s is still open", entry.Key)
		require.NotNil(t, entry.DurationMs, "%s has no duration", entry.Key)
		require.GreaterOrEqual(t, *entry.DurationMs, 0)
		require.False(t, entry.StartTime.IsZero())
		fmt.Fprintf(&text, "%s: exit code %d\n", entry.Key, *entry.ExitCode)
		if entry.Command != nil {
			fmt.Fprintf(&text, "  $ %s\n", strings.Join(quoted(entry.Command), " "))
		}
		for _, line := range sortedOutput(t, entry) {
			fmt.Fprintf(&text, "  %s\n", line)
		}
	}
	return s.text(text.String())
}

func sortedOutput(t testing.TB, entry api.ExecutionLogEntry) []string {
	t.Helper()
	var stdout, stderr, notes []string
	for line := range strings.Lines(entry.Out) {
		require.True(t, strings.HasSuffix(line, "\n"), "%s ends within a line: %q", entry.Key, line)
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "stdout: "):
			stdout = append(stdout, line)
		case strings.HasPrefix(line, "stderr: "):
			stderr = append(stderr, line)
		default:
			notes = append(notes, line)
		}
	}
	if strings.HasPrefix(entry.Key, "setup.git.") {
		return notes
	}
	return slices.Concat(stdout, stderr, notes)
}

// quoted shows the words of a command with quotes around those that need them.
func quoted(words []string) []string {
	shown := slices.Clone(words)
	for i, word := range words {
		if word == "" || strings.ContainsAny(word, " '\"\n") {
			shown[i] = fmt.Sprintf("%q", word)
		}
	}
	return shown
}
