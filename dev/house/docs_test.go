package house

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/jobfile"
)

// maxReadme is how many lines a newcomer is asked to read first.
const maxReadme = 150

// pages returns the texts that people read, by their path from the repository's root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	for _, pattern := range []string{"*.md", "docs/*.md", "third_party/*/*.md"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			name, err := filepath.Rel("../..", file)
			require.NoError(t, err)
			texts[name] = string(text)
		}
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/configuration.md", "docs/jobs.md", "docs/protocol.md"} {
		require.Contains(t, texts, name)
	}
	return texts
}

func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, strings.Count(pages(t)["README.md"], "\n"), maxReadme)
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	// notInAnchors are left out when a heading becomes an anchor.
	notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	texts := pages(t)
	checked := 0
	for name, text := range texts {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			checked++
			to := name
			if target != "" {
				to = path.Join(path.Dir(name), target)
				require.FileExists(t, filepath.Join("../..", to), "%s links to %s", name, found[1])
			}
			if anchor != "" {
				require.Contains(t, anchors(texts[to]), anchor, "%s links to %s", name, found[1])
			}
		}
	}
	require.Greater(t, checked, 10)
}

func anchors(text string) []string {
	var all []string
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-"))
	}
	return all
}

var (
	inBackticks = regexp.MustCompile("`([^`\n]+)`")
	// ours are paths that begin with a folder of the repository.
	ours     = regexp.MustCompile(`(?:^|[ =])(?:\./)?((?:cmd|internal|docs|dev|examples|e2e|third_party)/[A-Za-z0-9_./-]*)`)
	indented = regexp.MustCompile(`(?m)^    .+$`)
)

// TestNamedFilesAndCommandsExist: what commands and texts name as a file or folder of the repository is there, and can be run where it is a
// script.
func TestNamedFilesAndCommandsExist(t *testing.T) {
	t.Parallel()
	checked := make(map[string]bool)
	for name, text := range pages(t) {
		var said []string
		for _, found := range inBackticks.FindAllStringSubmatch(text, -1) {
			said = append(said, found[1])
		}
		for _, words := range append(said, indented.FindAllString(text, -1)...) {
			for _, found := range ours.FindAllStringSubmatch(words, -1) {
				file := strings.TrimSuffix(strings.TrimRight(found[1], "."), "/")
				info, err := os.Stat(filepath.Join("../..", file))
				require.NoError(t, err, "%s names %s in %q", name, file, words)
				if strings.HasPrefix(file, "dev/") && !info.IsDir() {
					require.NotZero(t, info.Mode()&0o100, "%s: %s is not executable", name, file)
				}
				if strings.Contains(words, "go run ./"+file) {
					require.FileExists(t, filepath.Join("../..", file, "main.go"), name)
				}
				checked[file] = true
			}
		}
	}
	for _, file := range []string{"cmd/standalone", "cmd/frontend", "cmd/executor", "cmd/execctl", "dev/test", "examples/hello.yaml", "internal/api"} {
		require.True(t, checked[file], "%s is named somewhere, and was looked for", file)
	}
}

var variable = regexp.MustCompile(`\b(?:EXECUTOR|FRONTEND)_[A-Z0-9_]+[A-Z0-9]\b`)

func TestNamedVariablesAreDocumented(t *testing.T) {
	t.Parallel()
	texts := pages(t)
	for name, text := range texts {
		for _, found := range variable.FindAllString(text, -1) {
			// The programs' variables have one page; those of building and publishing stand in a table of theirs.
			documented := strings.Contains(texts["docs/configuration.md"], "`"+found+"`")
			for _, page := range []string{"docs/build.md", "docs/release.md", "docs/ci.md", "docs/machine-images.md", "docs/registry-mirror.md"} {
				documented = documented || strings.Contains(texts[page], "\n| `"+found+"`")
			}
			require.True(t, documented, "%s names %s, and no table says what that is", name, found)
		}
	}
}

func TestReadmesJobFileIsOne(t *testing.T) {
	t.Parallel()
	_, rest, found := strings.Cut(pages(t)["README.md"], "```yaml\n")
	require.True(t, found)
	text, _, _ := strings.Cut(rest, "```")
	_, err := jobfile.Parse("README.md", []byte(text), jobfile.Options{Env: func(name string) (string, bool) { return "value-of-" + name, true }})
	require.NoError(t, err)
}

func TestExamplesAreJobFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../examples/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		// An example needs nothing of its user's environment.
		_, err = jobfile.Parse(file, text, jobfile.Options{Env: func(string) (string, bool) { return "", false }})
		require.NoError(t, err)
	}
}
