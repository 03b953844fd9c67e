// Command ci prints the Buildkite pipeline of a build; docs/ci.md tells which steps it has and why.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/open-executor/executor/dev/ci/plan"
)

const usage = `usage: go run ./dev/ci [FLAG…] [CHANGED-FILE…] >pipeline.yml

Prints the pipeline of the build that the BUILDKITE_ variables and RELEASE_INTERNAL and VERSION describe; flags win over them. Files that are
named count as what the build changed; without any, git is asked.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := program{env: os.Getenv, git: gitIn("."), now: time.Now, stdout: os.Stdout, stderr: os.Stderr}
	if err := p.run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "dev/ci: %s\n", strings.ReplaceAll(err.Error(), "\n", "\ndev/ci: "))
		os.Exit(1)
	}
}

// program is the command with everything outside it replaceable.
type program struct {
	env            func(string) string
	git            git
	now            func() time.Time
	stdout, stderr io.Writer
}

func (p program) run(ctx context.Context, args []string) error {
	in, err := p.inputs(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if in.build, err = p.withCommit(ctx, in.build); err != nil {
		return err
	}
	in.build.Changes = p.changes(ctx, in)
	pipeline, err := plan.Make(in.build)
	if err != nil {
		return err
	}
	text, err := pipeline.YAML(fmt.Sprintf("Run type: %s. Printed by dev/ci.", in.build.RunType()))
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(text)
	return err
}

// withCommit fills in a commit that isn't known by its hash yet: builds that people start by hand are of "HEAD" until the checkout.
func (p program) withCommit(ctx context.Context, b plan.Build) (plan.Build, error) {
	if b.Commit != "" && b.Commit != "HEAD" {
		return b, nil
	}
	hash, err := p.git(ctx, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return b, fmt.Errorf("the build's commit is %q, and git doesn't know it better: %w", b.Commit, err)
	}
	b.Commit = strings.TrimSpace(hash)
	return b, nil
}

// inputs are what the command line and the environment say.
type inputs struct {
	build plan.Build
	// files are the changed ones, unless git is to be asked.
	files  []string
	askGit bool
	// since is the commit to compare with, base the branch that a pull request goes to.
	since, base string
}

func (p program) inputs(args []string) (inputs, error) {
	var in inputs
	flags := flag.NewFlagSet("ci", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&in.build.Branch, "branch", p.env("BUILDKITE_BRANCH"), "the `branch` that is built")
	flags.StringVar(&in.build.Tag, "tag", p.env("BUILDKITE_TAG"), "the `tag` that is built")
	flags.StringVar(&in.build.Commit, "commit", p.env("BUILDKITE_COMMIT"), "the full `hash` of the commit that is built")
	flags.StringVar(&in.build.Number, "number", p.env("BUILDKITE_BUILD_NUMBER"), "the build's `number`")
	flags.StringVar(&in.build.Message, "message", p.env("BUILDKITE_MESSAGE"), "the commit's `message`; "+plan.RebuildFlag+" in it builds the machine image in any case")
	flags.StringVar(&in.build.Version, "version", p.env("VERSION"), "the `version` of an internal release")
	flags.StringVar(&in.since, "since", "", "the `commit` to compare with, in place of what git finds")
	unchanged := flags.Bool("unchanged", false, "nothing is changed: don't ask git")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(p.stdout)
		fmt.Fprint(p.stdout, usage)
		flags.PrintDefaults()
	}
	if err != nil {
		return inputs{}, fmt.Errorf("%w; --help lists the flags", err)
	}
	in.files = flags.Args()
	in.askGit = !*unchanged && len(in.files) == 0
	if *unchanged && len(in.files) > 0 {
		return inputs{}, fmt.Errorf("--unchanged and %d changed files contradict each other", len(in.files))
	}
	in.base = p.env("BUILDKITE_PULL_REQUEST_BASE_BRANCH")
	in.build.Time = p.now()
	in.build.Fork = fork(p.env("BUILDKITE_REPO"), p.env("BUILDKITE_PULL_REQUEST_REPO"))
	in.build.Internal, err = truth(p.env, "RELEASE_INTERNAL")
	return in, err
}
