package kubernetes

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/agentstep"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

const mergePatch = types.MergePatchType

// Log keys of a pod (spec sections 4.3 and 5.3.5).
const (
	startKey  = "setup.kubernetes.start"
	removeKey = "teardown.kubernetes.job"
)

// askTime bounds what the agent answers at once.
const askTime = time.Minute

// session is one job in its pod.
type session struct {
	runtime *Runtime
	job     runtime.Job
	// name is that of the Job and of what belongs to it.
	name string
	// key makes the containers' passes.
	key        string
	containers []*container
	// volume is shared with other pods of the job; nil for one of its own.
	volume *claim
	// pullSecret is empty when there is none.
	pullSecret string
	created    bool
	// over is true once the agent was told to end.
	over bool
	// questions is how many files were asked for: a later executor asks for the same ones in the same order.
	questions int

	mu   sync.Mutex
	conn *connection
	// taken is set once another executor has the pod.
	taken bool
	// again is, for each container, how much output of its step comes again because an executor before this one may have had it.
	again []int64
}

var _ runtime.Keeper = (*session)(nil)

// container is a step's. It serves one step.
type container struct {
	name string
	step runtime.Step
	used bool
}

// Open implements runtime.Runtime. The workspace is copied into the pod: what happens to it on the host afterwards doesn't count.
func (r *Runtime) Open(ctx context.Context, job runtime.Job) (runtime.Session, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if r.options.PodPerStep {
		return r.openSteps(ctx, job)
	}
	for _, step := range job.Steps {
		if err := checkImage(step); err != nil {
			return nil, err
		}
	}
	s := &session{runtime: r, job: job, name: objectName(job), key: rand.Text(), containers: stepContainers(job.Steps)}
	if err := s.open(ctx, s.sendWorkspace); err != nil {
		return nil, err
	}
	return s, nil
}

// checkImage returns a user error for a step whose container can't be: the API server would blame the operator.
func checkImage(step runtime.Step) error {
	if step.Image == "" {
		return nil
	}
	return agentstep.CheckImage(step.Image)
}

// open makes the pod and, once it runs, its workspace. On error nothing is left.
func (s *session) open(ctx context.Context, workspace func(context.Context) error) error {
	entry := s.job.Log.Open(startKey, nil)
	err := s.start(ctx, entry, workspace)
	if err == nil {
		entry.Close(0)
		return nil
	}
	host.Note(entry, err.Error())
	entry.Close(1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	return errors.Join(err, s.remove(ctx))
}

func (s *session) start(ctx context.Context, entry command.Entry, workspace func(context.Context) error) error {
	began := time.Now()
	s.runtime.mark(s.name, true)
	if err := s.create(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.runtime.options.StartTime, errStartTime)
	defer cancel()
	podName, node, err := s.awaitAgent(ctx, entry)
	if err != nil {
		return err
	}
	running := time.Since(began)
	if err := workspace(ctx); err != nil {
		return fmt.Errorf("copying the workspace into the pod: %w", err)
	}
	host.Note(entry, fmt.Sprintf("Pod %s runs on node %s after %s; the workspace was there after %s.",
		podName, node, running.Round(time.Millisecond), time.Since(began).Round(time.Millisecond)))
	return nil
}

// create makes the objects. What was made is known to remove, also on error.
func (s *session) create(ctx context.Context) error {
	r := s.runtime
	if len(s.job.DockerAuth.Auths) > 0 {
		if err := r.createPullSecret(ctx, s, s.job.DockerAuth); err != nil {
			return classed(err)
		}
	}
	s.created = true // also on error: the answer may have been lost
	made, err := r.client.BatchV1().Jobs(r.options.Namespace).Create(ctx, r.jobObject(s), metav1.CreateOptions{})
	if err != nil {
		return classed(fmt.Errorf("creating job: %w", err))
	}
	if s.pullSecret != "" {
		if err := r.adopt(ctx, s, made); err != nil {
			return classed(err)
		}
	}
	return classed(s.volume.attach(ctx, made))
}

// classed makes the API server's refusals the operator's: permissions, and settings that make no valid object.
func classed(err error) error {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsInvalid(err) {
		return fault.As(fault.Operator, err)
	}
	return err
}

// sendWorkspace copies the workspace into the pod; from the start when the connection breaks on the way.
func (s *session) sendWorkspace(ctx context.Context) error {
	return s.asking(ctx, func(conn *connection) error {
		read, write := io.Pipe()
		packing := make(chan error, 1)
		go func() {
			err := jobtree.Pack(write, s.job.WorkspaceDir, nil)
			_ = write.CloseWithError(err)
			packing <- err
		}()
		_, err := conn.Do(ctx, channel.Request{Unpack: &channel.Unpack{}}, channel.Streams{Input: read})
		_ = read.Close()
		if packed := <-packing; packed != nil && !errors.Is(packed, io.ErrClosedPipe) {
			return packed
		}
		return err
	})
}

// TakeFile implements runtime.Session.
func (s *session) TakeFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	ctx, enough := context.WithCancelCause(ctx)
	defer enough(nil)
	content := &agentstep.Taken{Limit: limit, From: "pod", Exceeded: enough}
	s.questions++
	err := s.asking(ctx, func(conn *connection) error {
		content.Reset()
		_, err := conn.Do(ctx, channel.Request{Take: &channel.Take{Path: path, Limit: limit, Number: s.questions}}, channel.Streams{Stdout: content})
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("taking %s from the pod: %w", path, err)
	}
	return content.Bytes(), nil
}

// write puts a file into the workspace.
func (s *session) write(ctx context.Context, path string, mode fs.FileMode, content []byte) error {
	return s.asking(ctx, func(conn *connection) error {
		_, err := conn.Do(ctx, channel.Request{Write: &channel.Write{Path: path, Mode: mode}}, channel.Streams{Input: bytes.NewReader(content)})
		return err
	})
}
