package main

import (
	"io"
	"net/http"
)

// What the instance's role gives it, for a while.
const (
	role      = "executors"
	keyID     = "ASIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	session   = "IQoJb3JpZ2luX2VjEXAMPLE=="
)

// metadataToken is that of a session with the metadata.
const metadataToken = "AQAEAExample=="

// amazon is IMDSv2 alone, and Secrets Manager and the Parameter Store, which want a right signature.
func (c cloud) amazon(mux *http.ServeMux) {
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") == "" {
			http.Error(w, "Bad Request", http.StatusBadRequest)
			return
		}
		io.WriteString(w, metadataToken)
	})
	metadata := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-aws-ec2-metadata-token") != metadataToken {
				http.Error(w, "Unauthorized", http.StatusUnauthorized)
				return
			}
			answer(w, r)
		}
	}
	const credentials = "GET /latest/meta-data/iam/security-credentials/"
	mux.HandleFunc("GET /latest/user-data", metadata(func(w http.ResponseWriter, _ *http.Request) { c.settings(w) }))
	mux.HandleFunc(credentials+"{$}", metadata(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, role) }))
	mux.HandleFunc(credentials+role, metadata(func(w http.ResponseWriter, _ *http.Request) {
		encode(w, map[string]string{"Code": "Success", "AccessKeyId": keyID, "SecretAccessKey": secretKey, "Token": session})
	}))
	mux.HandleFunc("POST /{$}", c.amazonSecret)
}

// amazonSecret answers a request that is signed as one to the service whose operation it asks for.
func (c cloud) amazonSecret(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	target := r.Header.Get("X-Amz-Target")
	service, known := map[string]string{"secretsmanager.GetSecretValue": "secretsmanager", "AmazonSSM.GetParameter": "ssm"}[target]
	if !known {
		http.Error(w, `{"__type": "UnknownOperationException"}`, http.StatusBadRequest)
		return
	}
	if err := signedRight(r, body, service); err != nil {
		http.Error(w, `{"__type": "InvalidSignatureException", "message": "`+err.Error()+`"}`, http.StatusForbidden)
		return
	}
	secret, granted := c.file("secret")
	switch {
	case !granted:
		http.Error(w, `{"__type": "AccessDeniedException"}`, http.StatusBadRequest)
	case service == "ssm":
		encode(w, map[string]any{"Parameter": map[string]string{"Value": secret}})
	default:
		encode(w, map[string]string{"SecretString": secret})
	}
}
