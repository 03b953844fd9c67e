package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/open-executor/executor/internal/vm/channel"
)

// Agent carries out the host's requests. There is one in a guest.
type Agent struct {
	reaper *reaper
	// standby is the container that waits for the next step; nil for none.
	waiting sync.Mutex
	standby *standby
	// background is what goes on besides requests.
	background sync.WaitGroup
	// requests numbers what needs a name of its own.
	requests atomic.Int64

	mu sync.Mutex
	// images are where the drives' images are mounted.
	images map[int]string
	// scratch is where steps write outside of the workspace.
	workspace, scratch string
}

// Run greets the host and serves it until the connection or ctx ends. It must be the first process: it reaps what nobody waits for.
func Run(ctx context.Context, conn io.ReadWriter) error {
	a := &Agent{reaper: &reaper{own: map[int]bool{}}, images: map[int]string{}, workspace: ownWorkspace, scratch: ownScratch}
	if err := setUpCgroups(); err != nil {
		return fmt.Errorf("control groups: %w", err)
	}
	if err := os.MkdirAll(a.workspace, 0o755); err != nil {
		return err
	}
	done := make(chan struct{})
	var reaping sync.WaitGroup
	reaping.Go(func() { a.reaper.run(done) })
	defer reaping.Wait()
	defer close(done)
	defer a.background.Wait()
	// The first step of a machine that nobody warms up finds its crun loaded.
	a.background.Go(a.stock)
	return channel.Serve(ctx, conn, a.handle)
}

func (a *Agent) handle(ctx context.Context, x channel.Exchange) channel.Result {
	result, err := a.do(ctx, x)
	if err != nil {
		if result.Error = channel.ErrorOf(err); errors.Is(err, errStart) {
			result.Error.Reason = channel.ReasonStart
		}
	}
	return result
}

// errStart marks that a container's first process could not be started.
var errStart = errors.New("the container did not start")

func (a *Agent) do(ctx context.Context, x channel.Exchange) (channel.Result, error) {
	switch request := x.Request; {
	case request.Configure != nil:
		return channel.Result{}, configure(*request.Configure)
	case request.Warm != nil:
		return channel.Result{}, a.warm(ctx, x.Input)
	case request.Workspace != nil:
		return channel.Result{}, a.changeWorkspace(*request.Workspace)
	case request.Unpack != nil:
		return channel.Result{}, a.unpack(x.Input)
	case request.Image != nil:
		return channel.Result{}, a.readyImage(request.Image.Drive)
	case request.Container != nil:
		return a.runContainer(ctx, *request.Container, x)
	case request.Program != nil:
		return a.runProgram(ctx, *request.Program, x)
	case request.Write != nil:
		return channel.Result{}, a.write(*request.Write, x.Input)
	case request.Take != nil:
		return channel.Result{}, a.take(*request.Take, x.Stdout)
	case request.PowerOff != nil:
		return channel.Result{}, a.powerOff()
	}
	return channel.Result{}, errors.New("the request asks for nothing that this agent knows")
}

// places are the workspace, and where steps write outside of it.
func (a *Agent) places() (workspace, scratch string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.workspace, a.scratch
}

// name is a new name for what belongs to one request.
func (a *Agent) name(what string) string { return fmt.Sprintf("%s-%d", what, a.requests.Add(1)) }
