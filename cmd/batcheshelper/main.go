// Command batcheshelper runs in the containers before and after each step of a batch change's job (spec section 9).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/open-executor/executor/internal/batches/event"
	"github.com/open-executor/executor/internal/batches/helper"
	"github.com/open-executor/executor/internal/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Getenv, os.Environ(), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, words []string, getenv func(string) string, environ []string, stdout io.Writer) error {
	args, err := parse(words)
	if err != nil {
		return err
	}
	if args.help {
		_, err := io.WriteString(stdout, usage)
		return err
	}
	trust, err := trusts(getenv("EXECUTOR_ADD_SAFE"))
	if err != nil {
		return err
	}
	workspace, err := workspace()
	if err != nil {
		return err
	}
	h := helper.Helper{
		Workspace:       workspace,
		Input:           args.input,
		PreviousDir:     args.previousDir,
		WorkspaceFiles:  args.workspaceFiles,
		Environ:         environ,
		TrustRepository: trust,
		Events:          event.NewLog(stdout, time.Now),
	}
	if args.mode == "pre" {
		return h.Pre(args.step)
	}
	return h.Post(ctx, args.step)
}

// trusts reads the variable that says whether git may work in a repository of another user's.
func trusts(text string) (bool, error) {
	if text == "" {
		return true, nil
	}
	trust, err := strconv.ParseBool(text)
	if err != nil {
		return false, fault.Operatorf("EXECUTOR_ADD_SAFE is %q: want true or false", text)
	}
	return trust, nil
}

// workspace is the working directory, by a path without symlinks.
func workspace() (string, error) {
	dir, err := os.Getwd()
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("finding the workspace, which is the working directory: %w", err)
	}
	return dir, nil
}
