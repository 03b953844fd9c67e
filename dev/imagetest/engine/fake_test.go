package engine

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// daemon plays a Docker engine. Its members are set before it is used.
type daemon struct {
	version string
	// images are configurations by name or id.
	images map[string]string
	// archive answers requests for files.
	archive []byte
	// logs are frames of output.
	logs []byte
	exit int
	// waiting is closed when a wait has begun, if it is not nil; then the wait lasts until the request is gone.
	waiting chan struct{}
	// refuse answers requests whose method and path, without version, contain a text.
	refuse map[string]string
	// loadAnswer is sent after an archive has been loaded.
	loadAnswer string

	mu       sync.Mutex
	requests []string
	created  []map[string]any
	loaded   map[string]string
	versions map[string]bool
	serial   int
}

func start(t *testing.T, d *daemon) *Engine {
	t.Helper()
	e, err := open(t, d)
	require.NoError(t, err)
	return e
}

func open(t *testing.T, d *daemon) (*Engine, error) {
	t.Helper()
	if d.version == "" {
		d.version = "1.41"
	}
	d.versions = make(map[string]bool)
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	return Open(t.Context(), "run1", client.WithHost("tcp://"+strings.TrimPrefix(server.URL, "http://")), client.WithHTTPClient(server.Client()))
}

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("API-Version", d.version)
	if strings.HasSuffix(r.URL.Path, "/_ping") {
		return
	}
	_, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v"), "/")
	d.mu.Lock()
	d.versions[strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v"), "/"+rest)] = true
	d.mu.Unlock()
	request := r.Method + " /" + rest
	for part, answer := range d.refuse {
		if strings.Contains(request, part) {
			d.note(request)
			fail(w, http.StatusInternalServerError, answer)
			return
		}
	}
	switch {
	case request == "POST /containers/create":
		d.create(w, r)
	case strings.HasSuffix(request, "/wait"):
		d.note(request)
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		if d.waiting != nil {
			close(d.waiting)
			<-r.Context().Done()
			return
		}
		fmt.Fprintf(w, `{"StatusCode":%d}`, d.exit)
	case strings.HasSuffix(request, "/logs"):
		d.note(request)
		_, _ = w.Write(d.logs)
	case strings.HasSuffix(request, "/archive"):
		d.note(request)
		if d.archive == nil {
			fail(w, http.StatusNotFound, "Could not find the file")
			return
		}
		w.Header().Set("X-Docker-Container-Path-Stat", base64.StdEncoding.EncodeToString([]byte(`{}`)))
		_, _ = w.Write(d.archive)
	case strings.HasPrefix(request, "POST /commit"):
		d.note(request + "?container=" + r.URL.Query().Get("container"))
		fmt.Fprintf(w, `{"Id":%q}`, d.next("image"))
	case request == "POST /images/load":
		d.load(w, r)
	case strings.HasPrefix(request, "GET /images/"):
		config, found := d.images[strings.TrimSuffix(strings.TrimPrefix(request, "GET /images/"), "/json")]
		if !found {
			fail(w, http.StatusNotFound, "No such image")
			return
		}
		fmt.Fprintf(w, `{"Id":"sha256:1","Config":%s}`, config)
	case r.Method == http.MethodDelete && strings.HasPrefix(rest, "images/"):
		d.note(request)
		fmt.Fprint(w, `[]`)
	case r.Method == http.MethodDelete:
		d.note(fmt.Sprintf("%s?force=%s&v=%s", request, r.URL.Query().Get("force"), r.URL.Query().Get("v")))
		w.WriteHeader(http.StatusNoContent)
	default: // start
		d.note(request)
		w.WriteHeader(http.StatusNoContent)
	}
}

func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":%q}`, message)
}

func (d *daemon) note(request string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests = append(d.requests, request)
}

func (d *daemon) next(what string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.serial++
	return fmt.Sprintf("%s%d", what, d.serial)
}

func (d *daemon) create(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	d.note("POST /containers/create")
	d.mu.Lock()
	d.created = append(d.created, body)
	d.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"Id":%q,"Warnings":[]}`, d.next("container"))
}

// load keeps the names and contents of what is loaded.
func (d *daemon) load(w http.ResponseWriter, r *http.Request) {
	d.note("POST /images/load")
	loaded := make(map[string]string)
	archive := tar.NewReader(r.Body)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fail(w, http.StatusInternalServerError, "unexpected EOF")
			return
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			fail(w, http.StatusInternalServerError, "unexpected EOF")
			return
		}
		loaded[header.Name] = string(content)
	}
	d.mu.Lock()
	d.loaded = loaded
	d.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, d.loadAnswer)
}

// frame is a piece of output as the engine sends it; stream 1 is standard output, 2 is standard error.
func frame(stream byte, text string) []byte {
	head := [8]byte{0: stream}
	binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
	return append(head[:], text...)
}

// archiveOf is a tar file of entries with contents.
func archiveOf(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, header := range entries {
		content := header.PAXRecords["TEST.content"]
		header.PAXRecords, header.Size = nil, int64(len(content))
		require.NoError(t, w.WriteHeader(&header))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func regular(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, PAXRecords: map[string]string{"TEST.content": content}}
}
