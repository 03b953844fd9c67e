package publishing

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/scripttest"
)

// download enters latest/ once, as "cd latest" does, and checks what it finds there. It returns the commit.
func download(place string) (commit string, err error) {
	latest, err := os.OpenRoot(filepath.Join(place, "latest"))
	if err != nil {
		return "", err
	}
	defer latest.Close()
	sums, err := fs.ReadFile(latest.FS(), "SHA256SUMS")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		content, err := fs.ReadFile(latest.FS(), name)
		if err != nil {
			return "", err
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(content)); got != sum {
			return "", fmt.Errorf("%s has the checksum %s instead of %s", name, got, sum)
		}
	}
	for _, platform := range []string{"linux-amd64", "linux-arm64"} {
		content, contentErr := fs.ReadFile(latest.FS(), platform+"/executor")
		sum, sumErr := fs.ReadFile(latest.FS(), platform+"/executor_SHA256SUM")
		if err := errors.Join(contentErr, sumErr); err != nil {
			return "", err
		}
		if want := fmt.Sprintf("%x  executor\n", sha256.Sum256(content)); string(sum) != want {
			return "", fmt.Errorf("%s: %q instead of %q", platform, sum, want)
		}
	}
	text, err := fs.ReadFile(latest.FS(), "COMMIT")
	return strings.TrimSpace(string(text)), err
}

// Whoever downloads while others publish gets the files of one commit, always.
func TestPushIsNeverSeenHalfDone(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	seen := map[string]bool{p.succeed(t): false}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	var downloads int
	readers.Go(func() {
		pace := time.NewTicker(3 * time.Millisecond)
		defer pace.Stop()
		for {
			commit, err := download(p.place)
			if err != nil {
				t.Error(err)
				return
			}
			seen[commit] = true
			downloads++
			select {
			case <-stop:
				return
			case <-pace.C:
			}
		}
	})
	var commits []string
	for i := range 3 {
		p.repository.commit(t)
		commits = append(commits, p.building(t, "0.0.0+dev", strings.Repeat(strconv.Itoa(i), 1<<17)).succeed(t))
	}
	close(stop)
	readers.Wait()
	require.True(t, seen[commits[len(commits)-1]], "%d downloads, of %v", downloads, seen)
	require.Greater(t, downloads, len(commits))
}

// killer is a stand-in for a program: its n-th call kills the whole push instead of doing its work.
func killer(t *testing.T, name string, n int) (path string) {
	t.Helper()
	bin, counter := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	script(t, filepath.Join(bin, name), fmt.Sprintf(`PATH=${PATH#*:}
read -r _ _ _ _ _ session _ </proc/self/stat
echo >>%[2]q
if (($(wc -l <%[2]q) == %[3]d)); then kill -KILL "$session" 0; fi
exec %[1]s "$@"
`, name, counter, n))
	return bin + ":" + os.Getenv("PATH")
}

// Wherever a push is killed, the old latest/ stands, whole; and the next push does what this one could not. dev/release interrupts every single step.
func TestPushKilledLeavesLatest(t *testing.T) {
	t.Parallel()
	for _, kill := range []struct {
		name string
		n    int
	}{{"cp", 1}, {"mv", 2}} {
		t.Run(fmt.Sprintf("%s %d", kill.name, kill.n), func(t *testing.T) {
			t.Parallel()
			p := newPush(t)
			older := p.succeed(t)
			newer := p.repository.commit(t)
			p = p.building(t, "0.0.0+dev", "second")
			got := p.with("PATH", killer(t, kill.name, kill.n)).run(t)
			require.Equal(t, -1, got.Code, "it was killed")
			commit, err := download(p.place)
			require.NoError(t, err)
			require.Equal(t, older, commit)
			if _, err := os.Stat(filepath.Join(p.place, newer)); err == nil {
				checked(t, filepath.Join(p.place, newer))
			}
			p.succeed(t)
			commit, err = download(p.place)
			require.NoError(t, err)
			require.Equal(t, newer, commit)
		})
	}
}

// What a killed push left goes with a later one.
func TestPushRemovesWhatOthersLeft(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	old, young := filepath.Join(p.place, ".new-dead"), filepath.Join(p.place, ".new-alive")
	for _, dir := range []string{old, young} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "x"), 0o755))
	}
	before := time.Now().Add(-48 * time.Hour)
	require.NoError(t, os.Chtimes(old, before, before))
	p.succeed(t)
	require.NoDirExists(t, old)
	require.DirExists(t, young)
}

// Two runs of one commit at the same time both succeed, and one of them publishes.
func TestPushTwiceAtOnce(t *testing.T) {
	t.Parallel()
	p := newPush(t)
	var runs sync.WaitGroup
	results := make([]scripttest.Result, 3)
	for i := range results {
		runs.Go(func() { results[i] = p.run(t) })
	}
	runs.Wait()
	for _, got := range results {
		require.Zero(t, got.Code, got.Stderr)
	}
	commit := p.repository.git(t, "rev-parse", "HEAD")
	require.Equal(t, []string{commit, "latest"}, names(t, p.place))
	got, err := download(p.place)
	require.NoError(t, err)
	require.Equal(t, commit, got)
}
