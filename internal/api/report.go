package api

// Result is how a job ended. Its value is the endpoint that it is reported to.
type Result string

// Errored jobs may be tried again, Failed ones may not.
const (
	Complete Result = "markComplete"
	Errored  Result = "markErrored"
	Failed   Result = "markFailed"
)

// Report is a job's end as an executor tells it.
type Report struct {
	Result Result
	// Message says why; empty for Complete.
	Message string
}
