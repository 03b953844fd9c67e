package kubernetes

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/open-executor/executor/internal/runtime"
)

// Labels of everything that is made for a job.
const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "open-executor"
	// labelExecutor has the hashed name, annotationExecutor, of Jobs and pods, the name itself.
	labelExecutor      = "open-executor.dev/executor"
	annotationExecutor = "open-executor.dev/executor"
	labelQueue         = "open-executor.dev/queue"
	labelJob           = "open-executor.dev/job"
	labelAttempt       = "open-executor.dev/attempt"
	// labelPool has the hashed Options.Pool.
	labelPool = "open-executor.dev/pool"
	// labelObject is the name of the Job, also on what belongs to it.
	labelObject = "open-executor.dev/object"
)

// hashed is text of any length as a label's value.
func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// selector selects what is made for jobs by a label with hashed text.
func selector(label, text string) string {
	return metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: map[string]string{labelManagedBy: managedBy, label: hashed(text)}})
}

var unfitForNames = regexp.MustCompile(`[^a-z0-9]+`)

// fit makes text part of a name: small letters, digits and dashes.
func fit(text string, limit int) string {
	text = strings.Trim(unfitForNames.ReplaceAllString(strings.ToLower(text), "-"), "-")
	return strings.Trim(text[:min(len(text), limit)], "-")
}

// objectName is a new name for a job's objects. Its end is random: neither queues nor attempts nor executors can meet in one.
func objectName(job runtime.Job) string {
	return fmt.Sprintf("executor-%s-%d-%s", fit(job.Queue, 16), job.ID, strings.ToLower(rand.Text()[:8]))
}

func (r *Runtime) labels(job runtime.Job, object string) map[string]string {
	all := map[string]string{
		labelManagedBy: managedBy,
		labelExecutor:  hashed(job.Executor),
		labelQueue:     fit(job.Queue, 63),
		labelJob:       strconv.FormatInt(job.ID, 10),
		labelAttempt:   strconv.Itoa(job.Attempt),
		labelObject:    object,
	}
	if r.options.Pool != "" {
		all[labelPool] = hashed(r.options.Pool)
	}
	return all
}

// containerName tells people which step a container is for.
func containerName(i int, key string) string {
	return strings.TrimRight(fmt.Sprintf("step-%d-%s", i, fit(strings.TrimPrefix(key, stepPrefix), 40)), "-")
}
