package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/open-executor/executor/dev/ci/plan"
)

const (
	gitTimeout = time.Minute
	// maxGitOutput is far more than the names of all files of a repository.
	maxGitOutput = 64 << 20
)

// git runs a git command in the repository and returns what it printed. An error has what git said of it.
type git func(ctx context.Context, args ...string) (string, error)

// gitIn runs git in a directory.
func gitIn(dir string) git {
	return func(ctx context.Context, args ...string) (string, error) { return runGit(ctx, dir, args) }
}

func runGit(ctx context.Context, dir string, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir, command.WaitDelay = dir, time.Second
	out, said := capped{limit: maxGitOutput}, capped{limit: 4 << 10}
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.text.String()))
	}
	if out.over {
		return "", fmt.Errorf("git %s printed more than %d bytes", strings.Join(args, " "), out.limit)
	}
	return out.text.String(), nil
}

// capped keeps the first limit bytes of what is written to it.
type capped struct {
	text  bytes.Buffer
	limit int
	over  bool
}

func (c *capped) Write(p []byte) (int, error) {
	kept := p[:min(len(p), c.limit-c.text.Len())]
	c.over = c.over || len(kept) < len(p)
	c.text.Write(kept)
	return len(p), nil
}

// changes finds what the build touches: the named files, or else what git says. When git can't say, everything counts as changed, for an
// image too many costs less than one that is missing; the reason goes to standard error.
func (p program) changes(ctx context.Context, in inputs) plan.Changes {
	if !in.askGit {
		return plan.ChangesOf(in.files)
	}
	files, err := p.changedFiles(ctx, in)
	if err != nil {
		fmt.Fprintf(p.stderr, "dev/ci: everything counts as changed, because the changed files can't be found out: %v\n", err)
		return plan.Everything()
	}
	return plan.ChangesOf(files)
}

// changedFiles compares the commit with where its branch left the one that it goes to. On main, where the two are the same, it compares with
// the parent: what one merged pull request brought. --since knows better.
func (p program) changedFiles(ctx context.Context, in inputs) ([]string, error) {
	before := in.since
	switch {
	case before != "":
	case in.build.RunType() == plan.Main:
		before = in.build.Commit + "^1"
	default:
		left, err := p.git(ctx, "merge-base", "--end-of-options", "refs/remotes/origin/"+cmp.Or(in.base, "main"), in.build.Commit)
		if err != nil {
			return nil, err
		}
		before = strings.TrimSpace(left)
	}
	// A file that was moved counts under both names.
	list, err := p.git(ctx, "diff", "--name-only", "--no-renames", "-z", "--end-of-options", before, in.build.Commit, "--")
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(list, func(r rune) bool { return r == 0 }), nil
}
