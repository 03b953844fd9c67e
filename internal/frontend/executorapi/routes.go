package executorapi

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/open-executor/executor/internal/store"
)

// route is one endpoint. Without methods it takes any.
type route struct {
	methods []string
	serve   http.HandlerFunc
}

var (
	get  = []string{http.MethodGet}
	head = []string{http.MethodHead}
	post = []string{http.MethodPost}

	queueName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
)

// route finds the endpoint of a path below Prefix. Repository names may hold slashes, so this is no plain pattern.
func (h *Handler) route(path string) (route, bool) {
	switch path {
	case "test/auth":
		return route{get, h.shared(testAuth)}, true
	case "queue/dequeue":
		return route{post, h.shared(h.dequeueOfSeveral)}, true
	case "queue/heartbeat":
		return route{post, h.shared(h.heartbeatOfSeveral)}, true
	case "lsif/upload":
		return route{post, h.shared(noCodeGraph)}, true
	case "scip/upload":
		return route{append(head, post...), h.shared(noCodeGraph)}, true
	}
	kind, rest, _ := strings.Cut(path, "/")
	switch kind {
	case "queue":
		queue, operation, _ := strings.Cut(rest, "/")
		if queueName.MatchString(queue) {
			return h.queueRoute(queue, operation)
		}
	case "git":
		return h.gitRoute(rest)
	case "files":
		if file, ok := strings.CutPrefix(rest, "batch-changes/"); ok {
			return route{[]string{http.MethodGet, http.MethodHead}, h.job(batchesLease, workspaceFile(file))}, true
		}
	}
	return route{}, false
}

func (h *Handler) queueRoute(queue, operation string) (route, bool) {
	ofQueue := func(lease store.Lease) bool { return lease.Queue == queue }
	switch operation {
	case "dequeue":
		return route{post, h.shared(func(w http.ResponseWriter, r *http.Request) { h.dequeueOfOne(w, r, queue) })}, true
	case "heartbeat":
		return route{post, h.shared(func(w http.ResponseWriter, r *http.Request) { h.heartbeatOfOne(w, r, queue) })}, true
	case "addExecutionLogEntry":
		return route{post, h.job(ofQueue, func(w http.ResponseWriter, r *http.Request, c caller) { h.addEntry(w, r, c, queue) })}, true
	case "updateExecutionLogEntry":
		return route{post, h.job(ofQueue, func(w http.ResponseWriter, r *http.Request, c caller) { h.updateEntry(w, r, c, queue) })}, true
	case "markComplete":
		return h.markRoute(queue, store.Complete), true
	case "markErrored":
		return h.markRoute(queue, store.Errored), true
	case "markFailed":
		return h.markRoute(queue, store.Fail), true
	}
	return route{}, false
}

func (h *Handler) markRoute(queue string, result store.Result) route {
	ofQueue := func(lease store.Lease) bool { return lease.Queue == queue }
	return route{post, h.job(ofQueue, func(w http.ResponseWriter, r *http.Request, c caller) { h.mark(w, r, c, queue, result) })}
}

// gitRoute takes any method: git decides which it wants. There is no route to push.
func (h *Handler) gitRoute(path string) (route, bool) {
	for _, endpoint := range []string{"info/refs", "git-upload-pack"} {
		repository, ok := strings.CutSuffix(path, "/"+endpoint)
		if !ok || repository == "" {
			continue
		}
		ofRepository := func(lease store.Lease) bool {
			return lease.Spec.Repository != nil && lease.Spec.Repository.Name == repository
		}
		return route{nil, h.job(ofRepository, func(w http.ResponseWriter, r *http.Request, _ caller) {
			h.git.ServeGit(w, r, repository, endpoint)
		})}, true
	}
	return route{}, false
}

func testAuth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok"))
}

// noCodeGraph answers the uploads of code-graph data, which this frontend keeps none of. The probe says yes as the reference's does, so
// that the client tries and gets to read why not.
func noCodeGraph(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		return
	}
	answerJSON(w, http.StatusNotImplemented, errorBody{"this frontend keeps no code graph; upload to a Sourcegraph instance instead"})
}

func batchesLease(lease store.Lease) bool { return lease.Queue == "batches" }

// workspaceFile answers for files that a job refers to by bucket and key. Jobs of this frontend carry all their files
// themselves, so there is none to be found.
func workspaceFile(path string) func(http.ResponseWriter, *http.Request, caller) {
	return func(w http.ResponseWriter, _ *http.Request, _ caller) {
		spec, file, _ := strings.Cut(path, "/")
		if spec == "" || file == "" {
			http.Error(w, "want /files/batch-changes/{spec}/{file}", http.StatusBadRequest)
			return
		}
		http.Error(w, "workspace file does not exist", http.StatusNotFound)
	}
}

// RecommendedSrcCLI is the src command line tool that this frontend recommends to executors: the version that the reference
// pinned with the executor protocol we are compatible with (spec frontend B1). Executors refuse a src of another minor version.
const RecommendedSrcCLI = "5.3.0"

// SrcCLIVersion answers GET /.api/src-cli/version, which executors ask when they check or install the src command line tool.
func SrcCLIVersion() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		answerJSON(w, http.StatusOK, struct {
			Version string `json:"version"`
		}{RecommendedSrcCLI})
	})
}
