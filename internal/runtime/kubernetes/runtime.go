// Package kubernetes runs each job in a pod of its own. All containers of a job's steps start with the pod and wait for their turn (internal/pod), so that
// a step's start costs no more than a message. What a pod's state is, the API server's objects tell, never one watch; what a step wrote, the pod keeps, so that
// no connection's end loses a byte.
package kubernetes

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"

	"github.com/go-logr/logr"
	"github.com/sourcegraph/log"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/open-executor/executor/internal/runtime"
)

// stepPrefix begins the keys of container steps (spec section 4.3).
const stepPrefix = "step.kubernetes."

// Runtime is the Kubernetes runtime.
type Runtime struct {
	logger   log.Logger
	config   *rest.Config
	web      *http.Client
	client   kubernetes.Interface
	executor string
	// holder is this process, to the agents of pods.
	holder  string
	options Options
	pods    *pods
	orphans []runtime.Orphan

	mu sync.Mutex
	// ours are the Jobs that this process has made or taken over and that may be there still: true while their sessions are open.
	ours map[string]bool
}

var _ runtime.Runtime = (*Runtime)(nil)

// New returns a runtime that makes pods by the API server that config leads to, for the executor of that name or, when another one of its pool is no more and
// has left pods, as that one: see Executor and Orphans. It waits until the server answers, for a minute at most.
func New(ctx context.Context, logger log.Logger, config *rest.Config, executor string, options Options) (*Runtime, error) {
	// client-go's own words go to standard error, past our log; what matters of them comes as errors.
	klog.SetLogger(logr.Discard())
	options, err := options.validated()
	if err != nil {
		return nil, err
	}
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfigAndClient(config, web)
	if err != nil {
		return nil, err
	}
	r := &Runtime{
		logger: logger.Scoped("kubernetes"), config: config, web: web, client: client, executor: executor, holder: rand.Text(), options: options, ours: map[string]bool{},
	}
	left := r.takeOver(ctx)
	if r.pods, err = watchPods(ctx, logger, client, options.Namespace, r.executor); err != nil {
		for _, s := range left {
			s.disconnect()
		}
		utilnet.CloseIdleConnectionsFor(web.Transport)
		return nil, fmt.Errorf("watching pods in namespace %s: %w", options.Namespace, err)
	}
	for _, s := range left {
		r.orphans = append(r.orphans, s)
	}
	return r, nil
}

// Executor is the name of the executor that this runtime's jobs are of.
func (r *Runtime) Executor() string { return r.executor }

// Orphans are what an executor of that name has left, which is this one's now.
func (r *Runtime) Orphans() []runtime.Orphan { return r.orphans }

// Close ends the watch. Sessions must be closed before.
func (r *Runtime) Close() error {
	r.pods.close()
	utilnet.CloseIdleConnectionsFor(r.web.Transport)
	return nil
}

// Capabilities implements runtime.Runtime.
func (*Runtime) Capabilities() runtime.Capabilities {
	return runtime.Capabilities{Kind: runtime.Kubernetes, StepPrefix: stepPrefix, Isolated: true, Limits: true}
}

// deleteJob deletes a Job and, by its owner references, all that belongs to it.
func (r *Runtime) deleteJob(ctx context.Context, name string) error {
	err := r.client.BatchV1().Jobs(r.options.Namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting Job %s: %w", name, err)
	}
	return nil
}
