package kubernetes

import (
	"errors"
	"testing"

	"github.com/sourcegraph/log"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm/channel"
)

// The agent tells that a step's container was killed before the API server tells why. When the whole pod was ended, that is the reason.
func TestReasonOfAContainerThatWasKilled(t *testing.T) {
	t.Parallel()
	full := `Usage of EmptyDir volume "job" exceeds the limit "1Mi"`
	for name, c := range map[string]struct {
		ended  corev1.ContainerStateTerminated
		status corev1.PodStatus
		said   string
		// exits: the step itself ended.
		exits bool
		class fault.Class
	}{
		"memory": {
			ended: corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"},
			said:  "The step was killed: out of memory (limit of its node).", exits: true,
		},
		"by hand": {
			ended: corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error"},
			said:  "The step was killed: Error.", exits: true,
		},
		"volume": {
			ended:  corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error"},
			status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: full},
			said:   "The step was lost: its pod was evicted: " + full, class: fault.User,
		},
		"node": {
			ended: corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error"},
			status: corev1.PodStatus{Conditions: []corev1.PodCondition{{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler, Message: "room was needed",
			}}},
			said: "The step was lost: its pod was preempted by a more important one: room was needed.", class: fault.Infrastructure,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.status.ContainerStatuses = []corev1.ContainerStatus{{Name: "step-0", State: corev1.ContainerState{Terminated: &c.ended}}}
			client := fake.NewClientset(&corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "jobs", Name: "pod", Labels: map[string]string{
					labelManagedBy: managedBy, labelExecutor: hashed("executor"), labelObject: "job",
				}},
				Status: c.status,
			})
			watched, err := watchPods(t.Context(), log.NoOp(), client, "jobs", "executor")
			require.NoError(t, err)
			t.Cleanup(watched.close)
			s := &session{runtime: &Runtime{pods: watched}, name: "job"}
			steps := commandtest.NewLog()
			_, err = s.conclude(t.Context(), steps.Open("step", nil), task{name: "step-0"}, channel.Result{},
				&channel.Error{Reason: channel.ReasonGuest, Message: "the step's first process ended"})
			require.Error(t, err)
			require.Contains(t, steps.Entry(t, "step").Out, c.said)
			var exit *command.ExitError
			require.Equal(t, c.exits, errors.As(err, &exit), "%v", err)
			if !c.exits {
				require.Equal(t, c.class, fault.ClassOf(err), "%v", err)
			}
		})
	}
}
