package publishing

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// bucket is a stand-in for gsutil and for aws, over a directory. It notes the words of every call.
type bucket struct{ objects, calls string }

const fakeGsutil = `
printf '%%s\n' "gsutil $*" >>%[2]q
only_new=false
while [[ ${1-} == -* ]]; do
  case $1 in
    -q) shift ;;
    -h) [[ $2 == x-goog-if-generation-match:0 ]] && only_new=true; shift 2 ;;
  esac
done
local_path() { path=${1/#gs:\/\//%[1]s/}; }
case $1 in
  version) ;;
  cat) local_path "$2"; cat "$path" 2>/dev/null || { echo "CommandException: No URLs matched: $2" >&2; exit 1; } ;;
  cp)
    local_path "$3"
    to=$path
    if $only_new && [[ -e $to ]]; then echo 'PreconditionException: 412' >&2; exit 1; fi
    [[ -d ${to%%/*} ]] || mkdir -p "${to%%/*}"
    local_path "$2"
    cp "$path" "$to"
    ;;
  *) exit 2 ;;
esac
`

const fakeAWS = `
printf '%%s\n' "aws $*" >>%[2]q
words=("$@") from='' to=''
case "$1 ${2-}" in
  '--version ') ;;
  's3 cp')
    from=${words[-2]/#s3:\/\//%[1]s/} to=${words[-1]/#s3:\/\//%[1]s/}
    if [[ $to == - ]]; then
      cat "$from" 2>/dev/null || { echo 'fatal error: An error occurred (404) when calling the HeadObject operation: Key "x" does not exist' >&2; exit 1; }
    else
      [[ -d ${to%%/*} ]] || mkdir -p "${to%%/*}"
      cp "$from" "$to"
    fi
    ;;
  's3api put-object')
    while (($#)); do
      case $1 in
        --body) from=$2 ;;
        --bucket) to=%[1]s/$2 ;;
        --key) to=$to/$2 ;;
      esac
      shift
    done
    [[ ! -e $to ]] || { echo 'An error occurred (PreconditionFailed)' >&2; exit 254; }
    [[ -d ${to%%/*} ]] || mkdir -p "${to%%/*}"
    cp "$from" "$to"
    ;;
  *) exit 2 ;;
esac
`

// inBucket makes a push go to a bucket.
func (p push) inBucket(t *testing.T, url string) (push, bucket) {
	t.Helper()
	bin := t.TempDir()
	b := bucket{objects: t.TempDir(), calls: filepath.Join(t.TempDir(), "calls")}
	p.arguments[3] = script(t, filepath.Join(bin, "gsutil"), fmt.Sprintf(fakeGsutil, b.objects, b.calls))
	script(t, filepath.Join(bin, "aws"), fmt.Sprintf(fakeAWS, b.objects, b.calls))
	return p.with("EXECUTOR_ARTIFACTS_URL", url, "PATH", bin+":"+os.Getenv("PATH")), b
}

var staged = regexp.MustCompile(`\S*/staged/`)

// log is what was called since it was asked for last, with what changes from run to run by name.
func (b bucket) log(t *testing.T, commit string) string {
	t.Helper()
	text := read(t, b.calls)
	require.NoError(t, os.Truncate(b.calls, 0))
	return staged.ReplaceAllString(strings.ReplaceAll(text, commit, "COMMIT-HASH"), "STAGED/")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	require.Equal(t, read(t, path), got)
}

// The versioned files are put first, then copied to the tag and to latest/; what exists is never removed.
func TestPushToBuckets(t *testing.T) {
	t.Parallel()
	for kind, url := range map[string]string{"gs": "gs://sourcegraph-artifacts/executors", "s3": "s3://bucket"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p, b := newPush(t).inBucket(t, url)
			p = p.released(t, "v5.2.0", "release").with("BUILDKITE_BRANCH", "main")
			commit := p.succeed(t)
			golden(t, "push_"+kind+".golden", b.log(t, commit))
			root := filepath.Join(b.objects, url[len("gs://"):])
			for _, name := range []string{commit, "latest", "v5.2.0"} {
				checked(t, filepath.Join(root, name))
				require.Equal(t, commit+"\n", read(t, root, name, "COMMIT"))
			}

			p.succeed(t)
			golden(t, "push_"+kind+"_again.golden", b.log(t, commit))

			p.repository.commit(t)
			got := p.run(t)
			require.Equal(t, 1, got.Code)
			require.Contains(t, got.Stderr, url+"/v5.2.0 was published already, from "+commit)
		})
	}
}

// A tag is claimed by its first file: of two that see no tag, one gets it.
func TestPushClaimsATag(t *testing.T) {
	t.Parallel()
	for kind, url := range map[string]string{"gs": "gs://bucket/x", "s3": "s3://bucket/x"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p, b := newPush(t).inBucket(t, url)
			p = p.released(t, "v5.2.0", "release")
			// The other's claim comes between our look and our claim.
			claim := filepath.Join(b.objects, "bucket", "x", "v5.2.0", "COMMIT")
			for _, tool := range []string{p.arguments[3], filepath.Join(filepath.Dir(p.arguments[3]), "aws")} {
				text := strings.Replace(read(t, tool), "set -euo pipefail\n", fmt.Sprintf(`set -euo pipefail
case "$*" in *match*v5.2.0/COMMIT*) mkdir -p %q && echo another >%q ;; esac
`, filepath.Dir(claim), claim), 1)
				require.NoError(t, os.WriteFile(tool, []byte(text), 0o755))
			}
			got := p.run(t)
			require.Equal(t, 1, got.Code, got.Stdout)
			require.Contains(t, got.Stderr, "v5.2.0 was published already, from another, and stays as it is")
			require.Equal(t, []string{"COMMIT"}, names(t, filepath.Dir(claim)))
		})
	}
}

// A bucket that fails to answer is no empty one.
func TestPushStopsWhenABucketFails(t *testing.T) {
	t.Parallel()
	p := newPush(t).with("EXECUTOR_ARTIFACTS_URL", "gs://bucket")
	p.arguments[3] = script(t, filepath.Join(t.TempDir(), "gsutil"), "[[ $1 == version ]] || { echo 'AccessDeniedException: 403' >&2; exit 1; }\n")
	got := p.run(t)
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "AccessDeniedException: 403")
	require.Contains(t, got.Stderr, "was published before can't be told")

	// The third upload fails: what readers see is as it was.
	p, b := newPush(t).inBucket(t, "gs://bucket")
	older := p.succeed(t)
	require.NoError(t, os.Truncate(b.calls, 0))
	newer := p.repository.commit(t)
	tool := p.arguments[3]
	require.NoError(t, os.WriteFile(tool, []byte(strings.Replace(read(t, tool), "set -euo pipefail\n", "set -euo pipefail\n"+`case "$*" in *arm64/executor\ *) exit 1 ;; esac`+"\n", 1)), 0o755))
	got = p.run(t)
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "gs://bucket/"+newer+" could not be put")
	require.Equal(t, older+"\n", read(t, b.objects, "bucket", "latest", "COMMIT"))
	checked(t, filepath.Join(b.objects, "bucket", "latest"))
}

func TestPushDryRun(t *testing.T) {
	t.Parallel()
	for kind, url := range map[string]string{"gs": "-", "s3": "s3://bucket/executors", "file": "file:///srv/executors"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPush(t).released(t, "v5.2.0", "release").with("EXECUTOR_ARTIFACTS_URL", url, "BUILDKITE_BRANCH", "main")
			got := p.run(t, "--dry-run")
			require.Zero(t, got.Code, got.Stderr)
			commit := p.repository.git(t, "rev-parse", "HEAD")
			text := staged.ReplaceAllString(strings.ReplaceAll(got.Stdout, commit, "COMMIT-HASH"), "STAGED/")
			text = strings.ReplaceAll(text, p.arguments[3], "gsutil")
			_, commands, found := strings.Cut(text, "\n")
			require.True(t, found)
			require.True(t, strings.HasPrefix(text, "+ "+p.arguments[2]+" --out "), "first what makes the files")
			golden(t, "push_"+kind+"_dry.golden", ownName.ReplaceAllString(commands, ".new-THIS"))
		})
	}
}

var ownName = regexp.MustCompile(`\.new-[A-Za-z0-9.-]+`)

// A dry run of what a real one refuses goes on, to show what would be done.
func TestPushDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPush(t).with("VERSION", "5.2.0")
	p.repository.write(t, "new.go", "package x\n")
	got := p.run(t, "--dry-run")
	require.Zero(t, got.Code, got.Stderr)
	require.Contains(t, got.Stderr, "a real run stops here: the tree has changes")
	require.Contains(t, got.Stderr, `carries the version "0.0.0+dev", and this commit's is "5.2.0"`)
	require.Contains(t, got.Stdout, "+ mv -T -- ")
	require.NoDirExists(t, p.place)
	require.NotContains(t, got.Stdout, "latest/ shows")

	require.Zero(t, newPush(t).run(t, "--dry-run").Code)
	fresh := newPush(t)
	require.NoError(t, fs.WalkDir(os.DirFS(filepath.Dir(fresh.place)), ".", func(name string, _ fs.DirEntry, err error) error {
		require.Equal(t, ".", name)
		return err
	}))
}
