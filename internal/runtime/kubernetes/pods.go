package kubernetes

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sourcegraph/log"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/open-executor/executor/internal/fault"
)

// pods knows the state of this executor's pods from the API server's objects. A watch may end at any time: the informer lists anew and goes on.
type pods struct {
	informer cache.SharedIndexInformer
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{}
}

// syncTime bounds the wait for the first list.
const syncTime = time.Minute

const byObject = "object"

var errNoList = errors.New("the API server did not list pods within a minute")

func watchPods(ctx context.Context, logger log.Logger, client kubernetes.Interface, namespace, executor string) (*pods, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = selector(labelExecutor, executor) }))
	p := &pods{informer: factory.Core().V1().Pods().Informer(), changed: make(chan struct{})}
	err := p.informer.AddIndexers(cache.Indexers{byObject: func(object any) ([]string, error) {
		return []string{object.(*corev1.Pod).Labels[labelObject]}, nil
	}})
	if err != nil {
		return nil, err
	}
	_, err = p.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { p.notify() }, UpdateFunc: func(any, any) { p.notify() }, DeleteFunc: func(any) { p.notify() },
	})
	if err != nil {
		return nil, err
	}
	ctx, refused := context.WithCancelCause(ctx)
	defer refused(nil)
	if err := p.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		logger.Debug("watching pods was interrupted; they are listed anew", log.Error(err))
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			refused(fault.As(fault.Operator, err)) // waiting for the first list is of no use
		}
	}); err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.running.Go(func() { p.informer.RunWithContext(watching) })
	ctx, cancel := context.WithTimeoutCause(ctx, syncTime, errNoList)
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), p.informer.HasSynced) {
		p.close()
		return nil, context.Cause(ctx)
	}
	return p, nil
}

func (p *pods) close() {
	p.stop()
	p.running.Wait()
}

func (p *pods) notify() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

// get returns a Job's newest pod, nil when there is none, and a channel that is closed when any pod has changed since. The pod must not be modified.
func (p *pods) get(object string) (*corev1.Pod, <-chan struct{}) {
	p.mu.Lock()
	changed := p.changed
	p.mu.Unlock()
	var newest *corev1.Pod
	found, _ := p.informer.GetIndexer().ByIndex(byObject, object) // the index exists
	for _, one := range found {
		if pod := one.(*corev1.Pod); newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			newest = pod
		}
	}
	return newest, changed
}
