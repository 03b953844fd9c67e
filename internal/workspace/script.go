package workspace

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"

	"github.com/open-executor/executor/internal/api"
)

// preamble begins each script (spec section 4.2.2): it goes on under bash when there is one, else under the sh that runs it, with
// exit-on-error off and tracing on. The word skip-check tells the second round from the first.
//
// The trap is ours: without it a shell dies of SIGTERM at once, and in a container its children with it. With it the shell waits
// for the command that runs, which has the whole grace period to give back a lock or a cloud machine. A step may set its own.
const preamble = `
if [ -z "${1-}" ]; then
  if command -p -v bash >/dev/null 2>&1; then
    set -e
    exec "$(command -p -v bash)" "$0" skip-check
  elif [ -x /bin/bash ]; then
    set -e
    exec /bin/bash "$0" skip-check
  fi
fi
trap 'exit 143' TERM
set +e
set -x
`

func script(step api.DockerStep) string {
	return preamble + "\n" + strings.Join(step.Commands, "\n") + "\n"
}

// maxNameLength is the longest file name, in bytes, that common file systems take.
const maxNameLength = 255

// scriptName is the reference's name of a step's script. Where that is no file name (a branch with a slash, a name too
// long), slashes and control characters become _ and the middle is cut short by a hash.
func scriptName(job api.Job, step int) string {
	clean := func(text string) string {
		return strings.Map(func(r rune) rune {
			if r == '/' || unicode.IsControl(r) {
				return '_'
			}
			return r
		}, text)
	}
	const suffix = ".sh"
	name := fmt.Sprintf("%d.%d_%s@%s", job.ID, step, clean(job.RepositoryName), clean(job.Commit))
	if len(name)+len(suffix) > maxNameLength {
		hash := fmt.Sprintf("_%x", sha256.Sum256([]byte(name)))
		name = strings.ToValidUTF8(name[:maxNameLength-len(hash)-len(suffix)], "") + hash
	}
	return name + suffix
}
