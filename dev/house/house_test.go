// Package house checks what no linter knows: sizes and names of files, the share of tests, and words that have no place here.
package house

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	// maxFile is the largest a source file may be, in bytes.
	maxFile = 30_000
	// maxMedian is the largest that half of the source files may be.
	maxMedian = 5_000
)

// TestMain goes to where the sources really are: Bazel runs tests in a tree of links to what they declare, and these are about all.
func TestMain(m *testing.M) {
	module, err := filepath.EvalSymlinks("../../MODULE.bazel")
	if err == nil {
		err = os.Chdir(filepath.Join(filepath.Dir(module), "dev/house"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "house: the repository can't be found:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// emptyNames say nothing about a package's responsibility.
var emptyNames = []string{"util", "utils", "common", "helpers", "misc", "shared"}

// goFiles lists the Go files of the repository, those that git doesn't know yet included, with their sizes.
func goFiles(t *testing.T) map[string]int64 {
	t.Helper()
	// Bazel may run as another user than the one whose clone this is.
	list := exec.Command("git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "*.go")
	list.Dir = "../.."
	out, err := list.Output()
	require.NoError(t, err)
	sizes := make(map[string]int64)
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		info, err := os.Stat(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // deleted, and not yet told to git
		}
		require.NoError(t, err)
		sizes[name] = info.Size()
	}
	require.Greater(t, len(sizes), 100, "git ls-files finds the sources")
	return sizes
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.go") }

func TestFilesAreSmall(t *testing.T) {
	t.Parallel()
	var sources []int64
	for name, size := range goFiles(t) {
		require.LessOrEqual(t, size, int64(maxFile), "%s: split it by responsibility", name)
		if !isTest(name) {
			sources = append(sources, size)
		}
	}
	slices.Sort(sources)
	require.LessOrEqual(t, sources[len(sources)/2], int64(maxMedian), "median size of source files")
}

func TestAThirdOfTheFilesAreTests(t *testing.T) {
	t.Parallel()
	tests, all := 0, 0
	for name := range goFiles(t) {
		all++
		if isTest(name) {
			tests++
		}
	}
	require.GreaterOrEqual(t, 3*tests, all, "%d of %d files are tests", tests, all)
}

func TestPackagesAreNamedByResponsibility(t *testing.T) {
	t.Parallel()
	for name := range goFiles(t) {
		require.NotContains(t, emptyNames, path.Base(path.Dir(name)), name)
	}
}

// A test that sleeps is slow and flaky; inside testing/synctest, sleeping is virtual and fine.
func TestTestsDoNotSleepOrSkip(t *testing.T) {
	t.Parallel()
	for name := range goFiles(t) {
		if !isTest(name) || name == "dev/house/house_test.go" {
			continue
		}
		source, err := os.ReadFile(filepath.Join("../..", name))
		require.NoError(t, err)
		virtual := bytes.Contains(source, []byte(`"testing/synctest"`))
		lines := bufio.NewScanner(bytes.NewReader(source))
		lines.Buffer(nil, maxFile)
		for lines.Scan() {
			require.NotContains(t, lines.Text(), "t.Skip", name)
			require.False(t, !virtual && strings.Contains(lines.Text(), "time.Sleep("), "%s sleeps: %s", name, lines.Text())
		}
		require.NoError(t, lines.Err())
	}
}
