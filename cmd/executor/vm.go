package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/open-executor/executor/internal/agent"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime/microvm"
	"github.com/open-executor/executor/internal/vm/channel"
)

// endTime bounds the wait for the end of a microVM.
const endTime = 30 * time.Second

// vmCommand looks into the microVMs of this host's executors.
func (p program) vmCommand() *cli.Command {
	return &cli.Command{
		Name:  "vm",
		Usage: "lists, enters and ends the microVMs of this host's executors",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "lists microVMs that have a job, or were kept after one", OnUsageError: usageError, Action: p.listMachines},
			{Name: "attach", Usage: "opens a shell in a microVM's workspace", ArgsUsage: "NAME", OnUsageError: usageError, Action: p.attachMachine},
			{Name: "rm", Usage: "ends a microVM, and the job that runs in it", ArgsUsage: "NAME", OnUsageError: usageError, Action: p.removeMachine},
		},
	}
}

func (p program) listMachines(*cli.Context) error {
	if p.configErr != nil {
		return p.configErr
	}
	machines, err := microvm.List(agent.MachinesDir(p.config))
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "NAME\tJOB\tQUEUE\tSTATE\tSINCE")
	for _, m := range machines {
		state := "running"
		if m.Kept {
			state = "kept"
		}
		fmt.Fprintf(out, "%s\t%d\t%s\t%s\t%s\n", m.Name, m.Job, m.Queue, state, m.Since.Format(time.RFC3339))
	}
	return out.Flush()
}

// connect connects to the machine that the arguments name.
func (p program) connect(c *cli.Context) (*channel.Client, error) {
	if p.configErr != nil {
		return nil, p.configErr
	}
	if c.NArg() != 1 {
		return nil, fmt.Errorf("want the name of one microVM, got %d arguments; executor vm list shows them", c.NArg())
	}
	return microvm.Connect(c.Context, agent.MachinesDir(p.config), c.Args().First())
}

func (p program) attachMachine(c *cli.Context) error {
	client, err := p.connect(c)
	if err != nil {
		return err
	}
	return errors.Join(shell(c.Context, client, os.Stdin, p.stdout), client.Close())
}

func (p program) removeMachine(c *cli.Context) error {
	client, err := p.connect(c)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	if _, err := client.Start(channel.Request{PowerOff: &channel.PowerOff{}}, channel.Streams{}); err != nil {
		return err
	}
	// The connection ends with the machine; a job that runs in it ends first.
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-client.Done():
	case <-timer.C:
		return fmt.Errorf("microVM %s has not ended within %s", c.Args().First(), endTime)
	}
	_, err = fmt.Fprintln(p.stdout, c.Args().First())
	return err
}

// maxScript bounds a script that comes by a pipe.
const maxScript = 1 << 20

// shell runs a shell in a machine's workspace on this process's terminal, or a script that comes by a pipe instead.
func shell(ctx context.Context, client *channel.Client, in *os.File, out io.Writer) (err error) {
	fd := int(in.Fd())
	terminal := term.IsTerminal(fd)
	program := &channel.Program{Args: []string{"/bin/sh"}, Env: microvm.ProgramEnv("TERM=" + os.Getenv("TERM")), Dir: ".", Terminal: terminal}
	streams := channel.Streams{Stdout: out, Stderr: os.Stderr}
	if !terminal {
		script, err := io.ReadAll(io.LimitReader(in, maxScript))
		if err != nil {
			return err
		}
		program.Args = append(program.Args, "-c", string(script))
	} else {
		streams.Input = in
		before, err := term.MakeRaw(fd)
		if err != nil {
			return fault.As(fault.Operator, err)
		}
		defer func() { _ = term.Restore(fd, before) }()
	}
	call, err := client.Start(channel.Request{Program: program}, streams)
	if err != nil {
		return err
	}
	if terminal {
		sizes := make(chan os.Signal, 1)
		signal.Notify(sizes, unix.SIGWINCH)
		defer signal.Stop(sizes)
		sizes <- unix.SIGWINCH
		go follow(call, sizes, fd)
	}
	result, err := call.Wait(ctx)
	if err == nil && result.ExitCode != 0 {
		err = fmt.Errorf("the shell ended with exit code %d", result.ExitCode)
	}
	return err
}

// follow tells the shell the terminal's size, and each change of it, until the call ends.
func follow(call *channel.Call, sizes <-chan os.Signal, fd int) {
	for {
		select {
		case <-call.Done():
			return
		case <-sizes:
		}
		if columns, rows, err := term.GetSize(fd); err == nil {
			_ = call.Signal(channel.Signal{Rows: uint16(rows), Columns: uint16(columns)}) // a terminal of the wrong size is still one
		}
	}
}
