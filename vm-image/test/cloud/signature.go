package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// signedRight checks AWS's signature, version 4, of a request to a service's own address in the region: made with the instance's key, a short
// while ago, and over every header that AWS wants signed.
func signedRight(r *http.Request, body []byte, service string) error {
	const algorithm = "AWS4-HMAC-SHA256"
	fields := map[string]string{}
	for field := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), algorithm+" "), ", ") {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", stamp)
	if err != nil || time.Since(at).Abs() > 5*time.Minute {
		return fmt.Errorf("the date is %q", stamp)
	}
	scope := strings.Join([]string{stamp[:8], region, service, "aws4_request"}, "/")
	if fields["Credential"] != keyID+"/"+scope {
		return fmt.Errorf("the credential is %q", fields["Credential"])
	}
	if r.Header.Get("X-Amz-Security-Token") != session {
		return fmt.Errorf("the session is another")
	}
	names := strings.Split(fields["SignedHeaders"], ";")
	for _, wanted := range []string{"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} {
		if !slices.Contains(names, wanted) || !slices.IsSorted(names) {
			return fmt.Errorf("the signed headers are %q", names)
		}
	}
	var headers strings.Builder
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.TrimSpace(value))
	}
	request := strings.Join([]string{r.Method, "/", "", headers.String(), fields["SignedHeaders"], digest(body)}, "\n")
	key := []byte("AWS4" + secretKey)
	for _, word := range []string{stamp[:8], region, service, "aws4_request"} {
		key = mac(key, word)
	}
	wanted := hex.EncodeToString(mac(key, strings.Join([]string{algorithm, stamp, scope, digest([]byte(request))}, "\n")))
	if fields["Signature"] != wanted {
		return fmt.Errorf("the signature does not match")
	}
	return nil
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
