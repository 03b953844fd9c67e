package publishing

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/scripttest"
)

// The end of ci-should-rebuild.sh says what to do.
const (
	mustRebuild = 0
	unchanged   = 1
	wrongCall   = 2
)

// question is a clone with two commits, a stand-in for target-determinator, and what ci-should-rebuild.sh is asked with.
type question struct {
	repository  repository
	first, last string
	bin, asked  string
	environment map[string]string
	words       []string
}

func newQuestion(t *testing.T) *question {
	t.Helper()
	q := &question{repository: newRepository(t), bin: t.TempDir(), asked: filepath.Join(t.TempDir(), "asked"), environment: map[string]string{}}
	for _, name := range []string{"cmd/executor/ci-should-rebuild.sh", "dev/lib/artifacts.sh", "dev/tools/gsutil.sh"} {
		q.repository.write(t, name, read(t, ours(t, name)))
		require.NoError(t, os.Chmod(filepath.Join(q.repository.dir, name), 0o755))
	}
	q.first = q.repository.commit(t)
	q.last = q.repository.commit(t)
	return q
}

// answers makes target-determinator run commands.
func (q *question) answers(t *testing.T, commands string) {
	t.Helper()
	script(t, filepath.Join(q.bin, "target-determinator"), fmt.Sprintf("printf '%%s\\n' \"$@\" >%q\n%s", q.asked, commands))
}

// published notes a commit as the last that images of a family were published from.
func (q *question) published(t *testing.T, family, commit string) {
	t.Helper()
	place := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(place, "published"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(place, "published", family), []byte(commit), 0o644))
	q.environment["IMAGE_FAMILY"], q.environment["EXECUTOR_ARTIFACTS_URL"] = family, "file://"+place
}

// before is the commit that target-determinator was asked to compare with.
func (q *question) before(t *testing.T) string {
	t.Helper()
	words := strings.Split(strings.TrimSpace(read(t, q.asked)), "\n")
	return words[len(words)-1]
}

func (q *question) ask(t *testing.T) scripttest.Result {
	t.Helper()
	if _, set := q.environment["PATH"]; !set {
		q.environment["PATH"] = q.bin + ":" + os.Getenv("PATH")
	}
	return scripttest.Run(t, exec.Command(filepath.Join(q.repository.dir, "cmd/executor/ci-should-rebuild.sh"), q.words...), q.environment)
}

const oneTarget = "echo '//cmd/executor/vm-image:ami.build Changes: Added'\n"

func TestRebuildByWhatTargetDeterminatorSays(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		answer         string
		code           int
		stdout, stderr string
	}{
		"no target":              {"", unchanged, "", "nothing changed since"},
		"no target, but logs":    {"echo 'Processing revision' >&2", unchanged, "", "nothing changed since"},
		"one target":             {oneTarget, mustRebuild, "//cmd/executor/vm-image:ami.build Changes: Added\n", "rebuild: 1 configured targets changed since"},
		"both, in more builds":   {oneTarget + oneTarget + "echo '@@//cmd/executor/docker-mirror:ami.build'", mustRebuild, "docker-mirror", "rebuild: 3 configured targets"},
		"a reason of two lines":  {oneTarget + "echo '  and more'", mustRebuild, "  and more\n", "rebuild: 1 configured targets"},
		"it fails":               {"echo 'no Bazel' >&2; exit 1", mustRebuild, "", "rebuild: target-determinator failed (1)"},
		"it fails with targets":  {oneTarget + "exit 1", mustRebuild, "", "rebuild: target-determinator failed (1)"},
		"its arguments":          {"echo 'flag provided but not defined: -verbose' >&2; exit 1", mustRebuild, "", "flag provided but not defined"},
		"its invocation":         {"echo 'Target Determinator invocation Error'; exit 1", mustRebuild, "", "its last line: Target Determinator invocation Error"},
		"its invocation, unsaid": {"echo 'Target Determinator invocation Error'", mustRebuild, "Target Determinator invocation Error\n", "named no target, but said the above"},
		"it is killed":           {"kill -KILL $$", mustRebuild, "", "rebuild: target-determinator did not answer"},
		"it crashes":             {"kill -SEGV $$", mustRebuild, "", "rebuild: target-determinator failed (139)"},
		"it can't be run":        {"exit 126", mustRebuild, "", "rebuild: target-determinator failed (126)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQuestion(t)
			q.answers(t, check.answer)
			got := q.ask(t)
			require.Equal(t, check.code, got.Code, got.Stderr)
			require.Contains(t, got.Stderr, check.stderr)
			require.Contains(t, got.Stdout, check.stdout)
		})
	}
}

func TestRebuildAsksAboutBothImages(t *testing.T) {
	t.Parallel()
	q := newQuestion(t)
	q.answers(t, "pwd >>"+q.asked+".dir")
	require.Equal(t, unchanged, q.ask(t).Code)
	require.Equal(t, strings.Join([]string{
		"--bazel=dev/bazel", "--verbose", "--targets", "//cmd/executor/vm-image:ami.build union //cmd/executor/docker-mirror:ami.build", q.first,
	}, "\n")+"\n", read(t, q.asked))
	require.Equal(t, q.repository.dir+"\n", read(t, q.asked+".dir"), "it runs at the repository's root")
}

func TestRebuildComparesWithThePublishedCommit(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		change func(*testing.T, *question)
		// want is "published", which the change made the last published one, or "parent".
		want, stderr string
	}{
		"none known": {func(*testing.T, *question) {}, "parent", "no published commit is known: comparing with the parent commit"},
		"given":      {func(_ *testing.T, q *question) { q.environment["EXECUTOR_PUBLISHED_COMMIT"] = q.first }, "published", ""},
		"given, and another noted": {func(t *testing.T, q *question) {
			q.published(t, "nightly", q.last)
			q.environment["EXECUTOR_PUBLISHED_COMMIT"] = q.first
		}, "published", ""},
		"noted": {func(t *testing.T, q *question) { q.published(t, "nightly", q.first+"\n") }, "published", ""},
		"noted for another family": {func(t *testing.T, q *question) {
			q.published(t, "nightly", q.first)
			q.environment["IMAGE_FAMILY"] = "executors-5-2"
		}, "parent", "no published commit is known for executors-5-2: comparing with the parent commit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQuestion(t)
			// Not the parent: there is one more commit in between.
			parent := q.last
			q.last = q.repository.commit(t)
			q.answers(t, "")
			check.change(t, q)
			got := q.ask(t)
			require.Equal(t, unchanged, got.Code, got.Stderr)
			want := map[string]string{"published": q.first, "parent": parent}[check.want]
			require.Equal(t, want, q.before(t))
			require.Contains(t, got.Stderr, "nothing changed since "+want)
			require.Contains(t, got.Stderr, check.stderr)
		})
	}
}

// Whatever can't be known means a build, though target-determinator would say that nothing changed.
func TestRebuildWhenInDoubt(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		change func(*testing.T, *question)
		want   string
	}{
		"no target-determinator": {func(t *testing.T, q *question) {
			require.NoError(t, os.Remove(filepath.Join(q.bin, "target-determinator")))
		}, "target-determinator is not on PATH"},
		"no git": {func(t *testing.T, q *question) {
			for _, name := range []string{"bash", "dirname", "env", "sed"} {
				path, err := exec.LookPath(name)
				require.NoError(t, err)
				require.NoError(t, os.Symlink(path, filepath.Join(q.bin, name)))
			}
			q.environment["PATH"] = q.bin
		}, "git is not on PATH"},
		"no clone": {func(t *testing.T, q *question) {
			require.NoError(t, os.RemoveAll(filepath.Join(q.repository.dir, ".git")))
		}, "is no git clone with a commit"},
		"a shallow clone": {func(t *testing.T, q *question) {
			shallow := t.TempDir()
			q.repository.git(t, "clone", "--quiet", "--depth=1", "file://"+q.repository.dir, shallow)
			q.repository.dir = shallow
		}, "this clone is shallow: fetch all of its history to compare (git fetch --unshallow)"},
		"the first commit": {func(t *testing.T, q *question) {
			q.repository.git(t, "checkout", "--quiet", "--orphan", "fresh")
			q.repository.commit(t)
		}, "HEAD has no parent in this clone"},
		"an unknown commit": {func(_ *testing.T, q *question) {
			q.environment["EXECUTOR_PUBLISHED_COMMIT"] = strings.Repeat("0", 40)
		}, "commit " + strings.Repeat("0", 40) + " is not in this clone"},
		"a branch":       {func(_ *testing.T, q *question) { q.environment["EXECUTOR_PUBLISHED_COMMIT"] = "main" }, `"main" is not the full hash of a commit`},
		"a flag":         {func(_ *testing.T, q *question) { q.environment["EXECUTOR_PUBLISHED_COMMIT"] = "--version" }, `"--version" is not the full hash`},
		"a strange note": {func(t *testing.T, q *question) { q.published(t, "nightly", "<html>") }, `"<html>" is not the full hash of a commit`},
		"an unreadable note": {func(t *testing.T, q *question) {
			q.published(t, "nightly", q.first)
			place := strings.TrimPrefix(q.environment["EXECUTOR_ARTIFACTS_URL"], "file://")
			require.NoError(t, os.Remove(filepath.Join(place, "published", "nightly")))
			require.NoError(t, os.Mkdir(filepath.Join(place, "published", "nightly"), 0o755))
		}, "which commit nightly was last published from can't be told"},
		"a strange family": {func(_ *testing.T, q *question) { q.environment["IMAGE_FAMILY"] = "../latest" }, `IMAGE_FAMILY is "../latest": want small letters, digits and dashes`},
		"a strange place": {func(t *testing.T, q *question) {
			q.published(t, "nightly", q.first)
			q.environment["EXECUTOR_ARTIFACTS_URL"] = "ftp://x"
		}, `"ftp://x" is no place for artifacts`},
		"no gsutil": {func(t *testing.T, q *question) {
			script(t, filepath.Join(q.bin, "gsutil"), "echo 'no python here' >&2; exit 127\n")
			q.environment["IMAGE_FAMILY"] = "nightly"
		}, "can't be reached without gsutil.sh, which does not run here: no python here"},
		"gsutil fails": {func(t *testing.T, q *question) {
			script(t, filepath.Join(q.bin, "gsutil"), "[[ $1 == version ]] || { echo 'ServiceException: 401' >&2; exit 1; }\n")
			q.environment["IMAGE_FAMILY"] = "nightly"
		}, "reading gs://sourcegraph-artifacts/executors/published/nightly failed (1): ServiceException: 401"},
		"it never answers": {func(t *testing.T, q *question) {
			q.answers(t, "sleep 600 & wait\n")
			q.environment["EXECUTOR_REBUILD_TIMEOUT"] = "1"
		}, "target-determinator did not answer within 1 s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQuestion(t)
			q.answers(t, "")
			check.change(t, q)
			got := q.ask(t)
			require.Equal(t, mustRebuild, got.Code, got.Stderr)
			require.Contains(t, got.Stderr, check.want)
			require.Contains(t, got.Stderr, "ci-should-rebuild: rebuild: ")
		})
	}
}

func TestRebuildReadsNotesFromBuckets(t *testing.T) {
	t.Parallel()
	q := newQuestion(t)
	q.answers(t, "")
	script(t, filepath.Join(q.bin, "gsutil"), fmt.Sprintf(`case "$*" in
  version) ;;
  'cat gs://sourcegraph-artifacts/executors/published/nightly') echo %s ;;
  *) echo 'CommandException: No URLs matched' >&2; exit 1 ;;
esac
`, q.last))
	q.environment["IMAGE_FAMILY"] = "nightly"
	require.Equal(t, unchanged, q.ask(t).Code)
	require.Equal(t, q.last, q.before(t))
	q.environment["IMAGE_FAMILY"] = "other"
	got := q.ask(t)
	require.Equal(t, unchanged, got.Code)
	require.Equal(t, q.first, q.before(t))
	require.Contains(t, got.Stderr, "no published commit is known for other")
}

// target-determinator checks out the older commit, this script in it, and may be stopped before it is back.
func TestRebuildLeavesTheCloneAsItWas(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		answer string
		code   int
	}{
		"it returns": {"git checkout --quiet \"${!#}\"; git checkout --quiet main\n", unchanged},
		"it fails":   {"git checkout --quiet \"${!#}\"; exit 1\n", mustRebuild},
		"it hangs":   {"git checkout --quiet \"${!#}\"; sleep 600\n", mustRebuild},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQuestion(t)
			q.repository.write(t, "cmd/executor/ci-should-rebuild.sh", strings.Replace(read(t, ours(t, "cmd/executor/ci-should-rebuild.sh")), "\n", "\n# longer than before\n", 1))
			q.last = q.repository.commit(t)
			q.answers(t, check.answer)
			q.environment["EXECUTOR_REBUILD_TIMEOUT"] = "2"
			got := q.ask(t)
			require.Equal(t, check.code, got.Code, got.Stderr)
			require.Equal(t, "main", q.repository.git(t, "symbolic-ref", "--short", "HEAD"))
			require.Equal(t, q.last, q.repository.git(t, "rev-parse", "HEAD"))
			require.Empty(t, q.repository.git(t, "status", "--porcelain"))
		})
	}
}

func TestRebuildWrongCalls(t *testing.T) {
	t.Parallel()
	q := newQuestion(t)
	q.answers(t, "")
	q.environment["EXECUTOR_REBUILD_TIMEOUT"] = "soon"
	got := q.ask(t)
	require.Equal(t, wrongCall, got.Code)
	require.Contains(t, got.Stderr, `EXECUTOR_REBUILD_TIMEOUT is "soon": want seconds`)
	q.words = []string{"--force"}
	got = q.ask(t)
	require.Equal(t, wrongCall, got.Code)
	require.Contains(t, got.Stderr, "unexpected argument --force")
}

// A fault of the script itself must not read as "nothing changed", which is what the shell makes of it.
func TestRebuildFaultsAreNoAnswer(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *question){
		"its library is gone": func(t *testing.T, q *question) {
			require.NoError(t, os.Remove(filepath.Join(q.repository.dir, "dev/lib/artifacts.sh")))
		},
		"its library is broken": func(t *testing.T, q *question) { q.repository.write(t, "dev/lib/artifacts.sh", "false\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQuestion(t)
			q.answers(t, "")
			change(t, q)
			require.Equal(t, 3, q.ask(t).Code)
		})
	}
}
