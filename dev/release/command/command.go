// Package command is the release program, which makes the directory that cmd/executor/_binary.push.sh publishes: the executors with their
// checksums, SPDX documents and provenance. It knows no git and no network: the script hands it the facts.
package command

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/open-executor/executor/dev/release/provenance"
	"github.com/open-executor/executor/dev/release/staging"
)

var commitPattern = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// Run fills the directory that the arguments name. It reads nothing of the environment but who runs the build, and prints only help.
func Run(args []string, getenv func(string) string, stderr io.Writer) error {
	var release staging.Release
	var out, sourceURL string
	var seconds int64
	amd64, arm64 := staging.Executor{Arch: "amd64"}, staging.Executor{Arch: "arm64"}

	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&out, "out", "", "the `directory` to fill; it must exist and be empty")
	flags.StringVar(&amd64.Path, "linux-amd64", "", "the executor for linux-amd64, a `file`")
	flags.StringVar(&arm64.Path, "linux-arm64", "", "the executor for linux-arm64, a `file`")
	flags.StringVar(&amd64.Packages, "packages-linux-amd64", "", "a `file` of import paths, for an executor that names no modules itself")
	flags.StringVar(&arm64.Packages, "packages-linux-arm64", "", "a `file` of import paths, for an executor that names no modules itself")
	flags.StringVar(&release.Commit, "commit", "", "the `hash` of the commit that was built")
	flags.Int64Var(&seconds, "commit-time", 0, "when that was committed, in `seconds` since 1970")
	flags.StringVar(&release.Version, "version", "", "the `version` that the executors must carry")
	flags.StringVar(&release.ModuleDir, "module-dir", ".", "the `directory` of go.mod and go.sum")
	flags.StringVar(&release.Info, "info", "", "the `file` to publish as info.txt")
	flags.StringVar(&sourceURL, "source-url", "", "where the source is fetched from, a `URL`")
	flags.StringVar(&release.Target, "target", "//cmd/executor:binary.push", "what was run, a `label`")
	flags.StringVar(&release.Branch, "branch", "", "the branch that was built, a `name`")
	flags.StringVar(&release.Tag, "tag", "", "the tag that was built, a `name`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for _, name := range []string{"out", "linux-amd64", "linux-arm64", "commit", "commit-time", "version", "info"} {
		if value := flags.Lookup(name).Value.String(); value == "" || value == "0" {
			return fmt.Errorf("--%s is missing", name)
		}
	}
	if !commitPattern.MatchString(release.Commit) {
		return fmt.Errorf("--commit %q is not the full hash of a commit", release.Commit)
	}
	found, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("--out %s is not empty: it holds %s", out, found[0].Name())
	}
	release.Executors = []staging.Executor{amd64, arm64}
	release.CommitTime = time.Unix(seconds, 0)
	release.SourceURL = provenance.PublicURL(sourceURL)
	release.Run = provenance.FromEnvironment(getenv)
	return release.Write(out)
}
