package jobsapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	typeJSON   = "application/json"
	typeYAML   = "application/yaml"
	typeText   = "text/plain"
	typeStream = "text/event-stream"
	typeSchema = "application/schema+json"
)

// route is one operation of openapi.yaml.
type route struct {
	method, path string
	// answers are the media types of its answers, the preferred one first.
	answers []string
	// query are the parameters that it knows.
	query []string
	// public routes need no token.
	public bool
	handle func(h *Handler, w *answer, r *http.Request) error
}

var routes = []route{
	{method: "POST", path: "/jobs", answers: []string{typeJSON}, handle: (*Handler).submit},
	{method: "GET", path: "/jobs", answers: []string{typeJSON}, query: []string{"queue", "state", "limit", "cursor"}, handle: (*Handler).list},
	{method: "GET", path: "/jobs/{id}", answers: []string{typeJSON}, handle: (*Handler).job},
	{method: "GET", path: "/jobs/{id}/logs", answers: []string{typeText, typeStream}, query: []string{"attempt", "offset", "entry"}, handle: (*Handler).logs},
	{method: "POST", path: "/jobs/{id}/cancel", answers: []string{typeJSON}, handle: (*Handler).cancel},
	{method: "POST", path: "/jobs/{id}/retry", answers: []string{typeJSON}, handle: (*Handler).retry},
	{method: "GET", path: "/executors", answers: []string{typeJSON}, handle: (*Handler).executors},
	{method: "GET", path: "/queues", answers: []string{typeJSON}, handle: (*Handler).queues},
	{method: "GET", path: "/openapi.yaml", answers: []string{typeYAML}, public: true, handle: serveDocument(typeYAML, openAPI)},
	{method: "GET", path: "/job.schema.json", answers: []string{typeSchema, typeJSON}, public: true, handle: serveDocument(typeSchema, jobSchema)},
}

// routes builds the mux: each route, the answer to other methods on its path, and the answer to all other paths.
func (h *Handler) routes() *http.ServeMux {
	mux := http.NewServeMux()
	methods := make(map[string][]string)
	for _, route := range routes {
		mux.HandleFunc(route.method+" "+Prefix+route.path, h.serve(route))
		methods[route.path] = append(methods[route.path], route.method)
	}
	for path, known := range methods {
		if slices.Contains(known, "GET") {
			known = append(known, "HEAD")
		}
		slices.Sort(known)
		allow := strings.Join(known, ", ")
		mux.HandleFunc(Prefix+path, h.guarded(func(r *http.Request) *apiError {
			return &apiError{status: http.StatusMethodNotAllowed, code: "method_not_allowed", header: map[string]string{"Allow": allow},
				message: fmt.Sprintf("%s is not possible here, only %s", shorten(r.Method), allow)}
		}))
	}
	mux.HandleFunc("/", h.guarded(func(r *http.Request) *apiError { return errNoPath(r.URL.Path) }))
	return mux
}

// guarded answers with an error, but to those without a token only that they have none.
func (h *Handler) guarded(refuse func(r *http.Request) *apiError) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h.authorize(r)
		if err == nil {
			err = refuse(r)
		}
		w.(*answer).fail(err)
	}
}

// serve does what all routes have in common.
func (h *Handler) serve(route route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer := w.(*answer)
		err := h.run(route, answer, r)
		var known *apiError
		switch {
		case err == nil, errors.Is(err, errClientGone):
		case answer.started:
			panic(http.ErrAbortHandler)
		case errors.As(err, &known):
			answer.fail(known)
		default:
			answer.fail(h.internal(r, err).(*apiError))
		}
	}
}

func (h *Handler) run(route route, w *answer, r *http.Request) error {
	if !route.public {
		if err := h.authorize(r); err != nil {
			return err
		}
	}
	if negotiate(r, route.answers...) == "" {
		return &apiError{status: http.StatusNotAcceptable, code: "not_acceptable",
			message: "the answer can only be " + strings.Join(route.answers, " or ")}
	}
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	for name := range query {
		if !slices.Contains(route.query, name) {
			return errArgument(shorten(name), "unknown parameter %q; known here: %s", shorten(name), orNone(route.query))
		}
	}
	return route.handle(h, w, r)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
