package frontendtest

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/open-executor/executor/internal/api"
)

func (f *Frontend) routes() http.Handler {
	ofQueue := func(job *job, r *http.Request) bool { return job.Queue == r.PathValue("queue") }
	ofBatches := func(job *job, _ *http.Request) bool { return job.Queue == "batches" }
	ofRepository := func(job *job, r *http.Request) bool { return job.RepositoryName == repository(r) }

	mux := http.NewServeMux()
	mux.HandleFunc("GET /.executors/test/auth", shared(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	mux.HandleFunc("GET /.api/src-cli/version", f.srcCLIVersion)
	mux.HandleFunc("POST /.executors/queue/dequeue", shared(f.dequeue))
	mux.HandleFunc("POST /.executors/queue/{queue}/dequeue", shared(f.dequeue))
	mux.HandleFunc("POST /.executors/queue/heartbeat", shared(f.heartbeat))
	mux.HandleFunc("POST /.executors/queue/{queue}/heartbeat", shared(f.heartbeat))
	mux.HandleFunc("POST /.executors/queue/{queue}/addExecutionLogEntry", f.ofJob(ofQueue, f.addEntry))
	mux.HandleFunc("POST /.executors/queue/{queue}/updateExecutionLogEntry", f.ofJob(ofQueue, f.updateEntry))
	for _, result := range []api.Result{api.Complete, api.Errored, api.Failed} {
		mux.HandleFunc("POST /.executors/queue/{queue}/"+string(result), f.ofJob(ofQueue, f.mark(result)))
	}
	mux.HandleFunc("GET /.executors/files/{bucket}/{key...}", f.ofJob(ofBatches, f.file))
	mux.HandleFunc("/.executors/git/{path...}", f.ofJob(ofRepository, f.git))
	return mux
}

func (f *Frontend) srcCLIVersion(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	version := f.srcVersion
	f.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]string{"version": version})
}

func (f *Frontend) addEntry(w http.ResponseWriter, r *http.Request) {
	var request api.AddExecutionLogEntryRequest
	if !read(w, r, &request) {
		return
	}
	f.onLog(w, request.JobOperation, func(job *job) {
		job.entries = append(job.entries, request.ExecutionLogEntry)
		writeJSON(w, http.StatusOK, len(job.entries))
	})
}

func (f *Frontend) updateEntry(w http.ResponseWriter, r *http.Request) {
	var request api.UpdateExecutionLogEntryRequest
	if !read(w, r, &request) {
		return
	}
	f.onLog(w, request.JobOperation, func(job *job) {
		if request.EntryID < 1 || request.EntryID > len(job.entries) {
			refuse(w, "unknown log entry")
			return
		}
		job.entries[request.EntryID-1] = request.ExecutionLogEntry
		w.WriteHeader(http.StatusNoContent)
	})
}

// onLog acts on a job's log, or refuses when the job is not the executor's.
func (f *Frontend) onLog(w http.ResponseWriter, operation api.JobOperation, act func(*job)) {
	f.change(func() {
		job := f.find(operation.JobID)
		if job == nil || !job.heldBy(operation.ExecutorName) {
			refuse(w, "unknown job")
			return
		}
		act(job)
	})
}

func (f *Frontend) mark(result api.Result) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request api.MarkErroredRequest
		if !read(w, r, &request) {
			return
		}
		f.change(func() {
			job := f.find(request.JobID)
			if job == nil || !job.heldBy(request.ExecutorName) {
				writeJSON(w, http.StatusNotFound, nil)
				return
			}
			job.state, job.token = ended, ""
			job.report = api.Report{Result: result, Message: request.ErrorMessage}
			w.WriteHeader(http.StatusNoContent)
		})
	}
}

func (f *Frontend) file(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	content, ok := f.files[r.PathValue("bucket")+"/"+r.PathValue("key")]
	f.mu.Unlock()
	if !ok {
		http.Error(w, "workspace file does not exist", http.StatusNotFound)
		return
	}
	_, _ = w.Write(content)
}

// read decodes a request's body, or answers like the reference when it can't.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		http.Error(w, "Failed to unmarshal payload: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// refuse is how the reference answers whatever goes wrong within an operation.
func refuse(w http.ResponseWriter, message string) {
	writeJSON(w, http.StatusInternalServerError, map[string]string{"error": message})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// repository is the name in a git path.
func repository(r *http.Request) string {
	path := r.PathValue("path")
	for _, service := range []string{"/info/refs", "/git-upload-pack"} {
		if name, ok := strings.CutSuffix(path, service); ok {
			return name
		}
	}
	return ""
}
