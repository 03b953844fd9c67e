package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sourcegraph/log"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/agent"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/runtime/microvm"
)

// holdFlag marks the process that holds a test machine in the background.
const holdFlag = "hold"

// testVMCommand starts a microVM for a person (spec section 1.4).
func (p program) testVMCommand() *cli.Command {
	return &cli.Command{
		Name:  "test-vm",
		Usage: "starts a microVM to look into",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "repo", Usage: "clone a repository of the frontend into its workspace"},
			&cli.StringFlag{Name: "revision", Usage: "the commit to clone"},
			&cli.BoolFlag{Name: "name-only", Usage: "print nothing but its name on standard output"},
			&cli.BoolFlag{Name: "shell", Usage: "open a shell in it, and end it with the shell"},
			&cli.BoolFlag{Name: holdFlag, Hidden: true},
		},
		OnUsageError: usageError,
		Action:       p.testVM,
	}
}

func (p program) testVM(c *cli.Context) error {
	switch {
	case p.configErr != nil:
		return p.configErr
	case c.String("repo") != "" && c.String("revision") == "":
		return errors.New("--repo needs --revision, the commit to clone")
	case c.Bool("shell"):
		return p.shellInTestVM(c)
	case c.Bool(holdFlag):
		return p.holdTestVM(c)
	}
	return p.startTestVM(c)
}

func (p program) newTestMachine(c *cli.Context, progress io.Writer) (*agent.TestMachine, error) {
	return agent.NewTestMachine(c.Context, log.Scoped("test-vm"), p.config, agent.NewTools(), c.String("repo"), c.String("revision"), progressLog{progress})
}

func (p program) shellInTestVM(c *cli.Context) (err error) {
	machine, err := p.newTestMachine(c, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, machine.Close()) }()
	client, err := microvm.Connect(c.Context, agent.MachinesDir(p.config), machine.Name)
	if err != nil {
		return err
	}
	return errors.Join(shell(c.Context, client, os.Stdin, p.stdout), client.Close())
}

// holdTestVM holds a machine until somebody ends it. It tells its name, or ends without.
func (p program) holdTestVM(c *cli.Context) (err error) {
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	c.Context = ctx
	machine, err := p.newTestMachine(c, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, machine.Close()) }()
	if _, err := fmt.Fprintln(p.stdout, machine.Name); err != nil {
		return err
	}
	// Whoever started this goes away now, and what it reads with it.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	return machine.Wait(ctx)
}

// startTestVM has another process hold the machine, and comes back when that has told its name.
func (p program) startTestVM(c *cli.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	progress := p.stdout
	if c.Bool("name-only") {
		progress = os.Stderr
	}
	words := []string{"test-vm", "--" + holdFlag, "--repo", c.String("repo"), "--revision", c.String("revision")}
	holder := exec.CommandContext(context.WithoutCancel(c.Context), self, words...)
	holder.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := holder.StdoutPipe()
	if err != nil {
		return err
	}
	said, err := holder.StderrPipe()
	if err != nil {
		return err
	}
	if err := holder.Start(); err != nil {
		return err
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(progress, said) // it ends with the holder, or this process does
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	name := strings.TrimSpace(line)
	if err != nil {
		<-copied
		return fmt.Errorf("no microVM was started: %w", holder.Wait())
	}
	if c.Bool("name-only") {
		_, err = fmt.Fprint(p.stdout, name)
	} else {
		_, err = fmt.Fprintf(p.stdout, "The microVM %[1]s is up.\nEnter it: executor vm attach %[1]s\nEnd it: executor vm rm %[1]s\n", name)
	}
	return err
}

// progressLog prints what goes on.
type progressLog struct{ to io.Writer }

func (l progressLog) Open(key string, words []string) command.Entry {
	fmt.Fprintln(l.to, strings.TrimSpace(key+" "+strings.Join(words, " ")))
	return progressEntry(l)
}

type progressEntry progressLog

func (e progressEntry) Write(b []byte) (int, error) { return e.to.Write(b) }
func (e progressEntry) Stdout() io.Writer           { return e.to }
func (e progressEntry) Stderr() io.Writer           { return e.to }
func (progressEntry) Close(int)                     {}
