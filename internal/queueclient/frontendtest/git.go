package frontendtest

import (
	"net/http"
	"net/http/cgi"
	"os/exec"
	"strings"
)

// git serves clones and fetches through git's own HTTP backend.
func (f *Frontend) git(w http.ResponseWriter, r *http.Request) {
	name := repository(r)
	f.mu.Lock()
	dir, ok := f.repos[name]
	f.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	program, err := exec.LookPath("git")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r = r.Clone(r.Context())
	r.URL.Path = strings.TrimPrefix(r.PathValue("path"), name)
	backend := &cgi.Handler{
		Path: program,
		Args: []string{"http-backend"},
		Root: "/",
		Dir:  dir,
		Env: []string{
			"GIT_PROJECT_ROOT=" + dir,
			"GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_COUNT=3",
			"GIT_CONFIG_KEY_0=uploadpack.allowFilter", "GIT_CONFIG_VALUE_0=true",
			"GIT_CONFIG_KEY_1=uploadpack.allowAnySHA1InWant", "GIT_CONFIG_VALUE_1=true",
			"GIT_CONFIG_KEY_2=safe.directory", "GIT_CONFIG_VALUE_2=*",
		},
	}
	backend.ServeHTTP(w, r)
}
