// Command podagent is what the containers of a job's pod begin with (internal/pod). It is one static file, which the pod's first container copies to where
// all others find it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/pod/agent"
	"github.com/open-executor/executor/internal/pod/step"
)

const usage = `usage: podagent install         copies this program to where all containers find it
       podagent serve N SECONDS  the agent of a pod with N steps, which ends when nobody attaches for so long
       podagent attach           a connection to the agent by standard input and output
       podagent step I           waits for step I and runs it
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	code, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "podagent:", err)
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (int, error) {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2, nil
	}
	numbers, err := numbers(args[1:])
	switch {
	case err != nil:
		return 2, err
	case args[0] == "install" && len(numbers) == 0:
		return status(install())
	case args[0] == "attach" && len(numbers) == 0:
		return status(attach(ctx))
	case args[0] == "serve" && len(numbers) == 2:
		return status(serve(ctx, numbers[0], time.Duration(numbers[1])*time.Second))
	case args[0] == "step" && len(numbers) == 1:
		// The step's stop is the agent's business: a signal to this process alone would end it without its children.
		return step.Run(context.WithoutCancel(ctx), pod.StepSocket, numbers[0], os.Environ())
	}
	fmt.Fprint(os.Stderr, usage)
	return 2, nil
}

func status(err error) (int, error) {
	if err != nil {
		return 1, err
	}
	return 0, nil
}

func numbers(args []string) ([]int, error) {
	var all []int
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no number", arg)
		}
		all = append(all, n)
	}
	return all, nil
}

// install copies this program. It ends with the whole file there, under its name, or an error.
func install() (err error) {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := os.OpenFile(pod.Program+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Chmod(0o755), to.Close()); err != nil {
		return err
	}
	return os.Rename(pod.Program+".new", pod.Program)
}

func serve(ctx context.Context, containers int, unattended time.Duration) error {
	key := os.Getenv(pod.KeyVariable)
	if key == "" {
		return errors.New(pod.KeyVariable + " is not set")
	}
	err := agent.Run(ctx, agent.Options{
		Workspace: pod.Workspace, PrivateDir: pod.PrivateDir, StepSocket: pod.StepSocket, AttachSocket: pod.AttachSocket,
		Key: key, Containers: containers, Unattended: unattended,
	})
	if errors.Is(err, context.Canceled) || errors.Is(err, agent.ErrEnded) {
		return nil // as it should
	}
	return err
}

// attach passes bytes on between standard input and output and the agent, until one of the two ends.
func attach(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", pod.AttachSocket)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(os.Stdout, conn)
		ended <- err
	}()
	go func() {
		_, err := io.Copy(conn, os.Stdin)
		ended <- err
	}()
	return <-ended // and the process with it
}
