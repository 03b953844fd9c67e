package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sourcegraph/log"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/kubernetes"
)

// Requests to the API server that one executor may make in a second, and at once.
const (
	apiRequests = 50
	apiBurst    = 100
)

// clusterConfig is how to reach the cluster: by the configured file, or as a pod of it.
func clusterConfig(logger log.Logger, config executorconfig.Kubernetes) (*rest.Config, error) {
	var cluster *rest.Config
	var fileErr error
	if config.ConfigPath != "" {
		cluster, fileErr = clientcmd.BuildConfigFromFlags("", config.ConfigPath)
	}
	if cluster == nil {
		inside, err := rest.InClusterConfig()
		switch {
		case err == nil:
			cluster = inside
		case fileErr != nil:
			return nil, fault.Operatorf("there is no way to a Kubernetes cluster: %w (EXECUTOR_KUBERNETES_CONFIG_PATH), and this is no pod of one: %w", fileErr, err)
		default:
			return nil, fault.Operatorf("there is no way to a Kubernetes cluster: EXECUTOR_KUBERNETES_CONFIG_PATH is not set, and this is no pod of one: %w", err)
		}
		if fileErr != nil {
			logger.Debug("no kubeconfig, so the pod's own service account counts", log.Error(fileErr))
		}
	}
	cluster.QPS, cluster.Burst = apiRequests, apiBurst
	cluster.UserAgent = "open-executor"
	return cluster, nil
}

// makePods makes the Kubernetes runtime of the configuration.
func (a *Agent) makePods(ctx context.Context, claim *owner.Claim) (place, error) {
	cfg := a.config.Kubernetes
	if cfg.GitCACertPath != "" {
		a.logger.Warn("KUBERNETES_GIT_CA_CERT has no effect: the executor clones, with the certificate authorities of its own container")
	}
	cluster, err := clusterConfig(a.logger, cfg)
	if err != nil {
		return place{}, err
	}
	pods, err := kubernetes.New(ctx, a.logger, cluster, a.name, kubernetes.Options{
		Namespace:              cfg.Namespace,
		HelperImage:            cfg.StepImage,
		NodeName:               cfg.NodeName,
		NodeSelector:           cfg.NodeSelector,
		Affinity:               affinity(cfg),
		Tolerations:            cfg.Tolerations,
		Resources:              cfg.Resources,
		ImagePullSecrets:       cfg.ImagePullSecrets,
		JobAnnotations:         cfg.JobAnnotations,
		PodAnnotations:         cfg.PodAnnotations,
		AdditionalVolumes:      cfg.AdditionalVolumes,
		AdditionalVolumeMounts: cfg.AdditionalVolumeMounts,
		VolumeSize:             cfg.JobVolume.Size,
		VolumeClaim:            cfg.JobVolume.Type == executorconfig.JobVolumePVC,
		PodPerStep:             !cfg.SingleJobPod,
		RunAsUser:              cfg.RunAsUser,
		RunAsGroup:             cfg.RunAsGroup,
		FSGroup:                &cfg.FSGroup,
		Deadline:               time.Duration(cfg.JobDeadlineSeconds) * time.Second,
		Grace:                  max(a.config.Jobs.StopGracePeriod, time.Nanosecond),
		Keep:                   cfg.KeepJobs,
		Pool:                   pool(a.config),
		Observe:                a.runner.Observe,
	})
	if err != nil {
		return place{}, fmt.Errorf("the Kubernetes runtime: %w", err)
	}
	a.name = pods.Executor()
	return place{Runtime: preparing{pods, claim}, release: pods.Close, orphans: pods.Orphans()}, nil
}

// preparing is a runtime elsewhere, whose jobs' workspaces are prepared on this host.
type preparing struct {
	runtime.Runtime
	claim *owner.Claim
}

// Reap implements runtime.Runtime: workspaces that executors have left on this host go, too.
func (p preparing) Reap(ctx context.Context) (int, error) {
	there, err := p.Runtime.Reap(ctx)
	here, sweepErr := p.claim.Sweep(ctx, owner.Engine{})
	return there + here, errors.Join(err, sweepErr)
}

// pool names the executors that may take each other's jobs over: those that serve the same queues of the same frontend.
func pool(config executorconfig.Config) string {
	queues := slices.Sorted(slices.Values(config.Queues.Names))
	return strings.Join(append([]string{config.Frontend.URL.String()}, queues...), "\n")
}

// affinity is what the configuration requires, and nothing else: an empty term of pods would be refused.
func affinity(cfg executorconfig.Kubernetes) *corev1.Affinity {
	all := &corev1.Affinity{}
	if len(cfg.RequiredNodeExpressions) > 0 || len(cfg.RequiredNodeFields) > 0 {
		all.NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: cfg.RequiredNodeExpressions, MatchFields: cfg.RequiredNodeFields}},
		}}
	}
	if len(cfg.RequiredPodAffinity) > 0 {
		all.PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: cfg.RequiredPodAffinity}
	}
	if len(cfg.RequiredPodAntiAffinity) > 0 {
		all.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: cfg.RequiredPodAntiAffinity}
	}
	if *all == (corev1.Affinity{}) {
		return nil
	}
	return all
}
