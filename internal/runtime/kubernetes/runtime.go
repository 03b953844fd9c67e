// Package kubernetes runs each job in a pod of its own. All containers of a job's steps start with the pod and wait for their turn (internal/pod), so that
// a step's start costs no more than a message. What a pod's state is, the API server's objects tell, never one watch; what a step wrote, the pod keeps, so that
// no connection's end loses a byte.
package kubernetes

import (
	"context"
	"errors"
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
	options  Options
	pods     *pods

	mu sync.Mutex
	// open are the objects of sessions.
	open map[string]bool
}

var _ runtime.Runtime = (*Runtime)(nil)

// New returns a runtime that makes pods by the API server that config leads to, for the executor of that name. It waits until that answers, for a minute
// at most.
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
	watched, err := watchPods(ctx, logger, client, options.Namespace, executor)
	if err != nil {
		return nil, fmt.Errorf("watching pods in namespace %s: %w", options.Namespace, err)
	}
	return &Runtime{
		logger: logger.Scoped("kubernetes"), config: config, web: web, client: client, executor: executor, options: options, pods: watched, open: map[string]bool{},
	}, nil
}

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

// Reap implements runtime.Runtime: it removes what an executor of the same name has left. Pods of others end by themselves when nobody attaches to them any
// more, and the cluster removes their Jobs (ttlSecondsAfterFinished).
func (r *Runtime) Reap(ctx context.Context) (int, error) {
	selector := metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{
		MatchLabels: map[string]string{labelManagedBy: managedBy, labelExecutor: executorLabel(r.executor)},
	})}
	jobs, err := r.client.BatchV1().Jobs(r.options.Namespace).List(ctx, selector)
	if err != nil {
		return 0, fmt.Errorf("listing the Jobs of this executor: %w", err)
	}
	removed := 0
	var all error
	for _, job := range jobs.Items {
		if r.isOpen(job.Name) || job.DeletionTimestamp != nil || r.options.Keep && job.Status.CompletionTime == nil && len(job.Status.Conditions) > 0 {
			continue
		}
		if err := r.deleteJob(ctx, job.Name); err != nil {
			all = errors.Join(all, err)
			continue
		}
		removed++
	}
	return removed, all
}

func (r *Runtime) isOpen(object string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[object]
}

func (r *Runtime) setOpen(object string, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if open {
		r.open[object] = true
	} else {
		delete(r.open, object)
	}
}

// deleteJob deletes a Job and, by its owner references, all that belongs to it.
func (r *Runtime) deleteJob(ctx context.Context, name string) error {
	err := r.client.BatchV1().Jobs(r.options.Namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting Job %s: %w", name, err)
	}
	return nil
}
