package jobsapi

import (
	_ "embed"
	"net/http"

	"github.com/open-executor/executor/internal/jobfile"
)

// openAPI describes this package's routes and answers; tests hold it against both.
//
//go:embed openapi.yaml
var openAPI []byte

var jobSchema = jobfile.Schema

func serveDocument(mediaType string, body []byte) func(*Handler, *answer, *http.Request) error {
	return func(_ *Handler, w *answer, _ *http.Request) error {
		w.Header().Set("Content-Type", mediaType)
		_, err := w.Write(body)
		if err != nil {
			return errClientGone
		}
		return nil
	}
}
