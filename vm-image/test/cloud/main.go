// Command cloud stands in for what a machine of Google's or Amazon's has around it: its metadata, and a secret manager that lets in only who has
// the machine's own right. Files in a directory say what it answers, and may change at any time.
package main

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// region is where Amazon's services are.
const region = "us-west-2"

// cloud answers from the files of a directory: settings are the instance's (missing: there are none), secret is what the secret manager has
// (missing: it refuses).
type cloud struct{ dir string }

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: cloud ADDRESS DIR")
		os.Exit(2)
	}
	server := http.Server{Addr: os.Args[1], Handler: cloud{os.Args[2]}.handler(), ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func (c cloud) handler() http.Handler {
	mux := http.NewServeMux()
	c.google(mux)
	c.amazon(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.Print(r.Method, " ", r.URL.Path)
		mux.ServeHTTP(w, r)
	})
}

// file is the content of a file; nothing and false when there is none.
func (c cloud) file(name string) (string, bool) {
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Print(err)
	}
	return string(text), err == nil
}

// settings answers with the settings of the instance.
func (c cloud) settings(w http.ResponseWriter) {
	text, found := c.file("settings")
	if !found {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	fmt.Fprint(w, text)
}
