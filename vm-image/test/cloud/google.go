package main

import (
	"encoding/base64"
	"encoding/json"
	"log"
	"net/http"
)

// googleToken is the access token of the instance's service account.
const googleToken = "ya29.of-this-instance"

// google is the metadata server, with its header against requests that others were made to send, and Secret Manager.
func (c cloud) google(mux *http.ServeMux) {
	metadata := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Metadata-Flavor") != "Google" {
				http.Error(w, "Missing Metadata-Flavor:Google header.", http.StatusForbidden)
				return
			}
			answer(w, r)
		}
	}
	const instance = "GET /computeMetadata/v1/instance/"
	mux.HandleFunc(instance+"attributes/executor-settings", metadata(func(w http.ResponseWriter, _ *http.Request) { c.settings(w) }))
	mux.HandleFunc(instance+"service-accounts/default/token", metadata(func(w http.ResponseWriter, _ *http.Request) {
		encode(w, map[string]any{"access_token": googleToken, "expires_in": 3599, "token_type": "Bearer"})
	}))
	mux.HandleFunc("GET /v1/projects/{project}/secrets/{secret}/versions/{version}", func(w http.ResponseWriter, r *http.Request) {
		secret, granted := c.file("secret")
		switch {
		case r.Header.Get("Authorization") != "Bearer "+googleToken:
			http.Error(w, `{"error": {"status": "UNAUTHENTICATED"}}`, http.StatusUnauthorized)
		case !granted || r.PathValue("version") != "latest:access":
			http.Error(w, `{"error": {"status": "PERMISSION_DENIED"}}`, http.StatusForbidden)
		default:
			encode(w, map[string]any{"payload": map[string]any{"data": base64.StdEncoding.EncodeToString([]byte(secret))}})
		}
	})
}

func encode(w http.ResponseWriter, answer any) {
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		log.Print(err)
	}
}
