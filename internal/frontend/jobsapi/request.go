package jobsapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

func hashToken(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// authorize compares the bearer token in constant time.
func (h *Handler) authorize(r *http.Request) *apiError {
	refuse := func(challenge, format string, args ...any) *apiError {
		return &apiError{status: http.StatusUnauthorized, code: "unauthorized", message: fmt.Sprintf(format, args...),
			header: map[string]string{"WWW-Authenticate": `Bearer realm="executor"` + challenge}}
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return refuse("", "no token: send the header Authorization: Bearer <token of the jobs API>")
	}
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return refuse(`, error="invalid_request"`, "the Authorization header has to be Bearer <token of the jobs API>")
	}
	got := hashToken(strings.TrimSpace(token))
	if subtle.ConstantTimeCompare(got[:], h.token[:]) != 1 {
		return refuse(`, error="invalid_token"`, "the token is not that of this frontend's jobs API")
	}
	return nil
}

// negotiate returns the offered media type that the Accept header likes best, or "" when it wants none of them.
func negotiate(r *http.Request, offered ...string) string {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return offered[0]
	}
	best, quality := "", 0.0
	for _, offer := range offered {
		if q := acceptQuality(header, offer); q > quality {
			best, quality = offer, q
		}
	}
	return best
}

// acceptQuality is the weight of a media type by the most specific range of an Accept header that it falls in.
func acceptQuality(header, mediaType string) float64 {
	group, _, _ := strings.Cut(mediaType, "/")
	quality, specific := 0.0, -1
	for part := range strings.SplitSeq(header, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		level := -1
		switch name {
		case mediaType:
			level = 2
		case group + "/*":
			level = 1
		case "*/*":
			level = 0
		}
		if level <= specific {
			continue
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		quality, specific = q, level
	}
	return quality
}

func parseQuery(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errArgument("", "the query is malformed: %s", shorten(err.Error()))
	}
	return query, nil
}

var digits = regexp.MustCompile(`^[0-9]{1,18}$`)

// jobID reads the path's job id.
func jobID(r *http.Request) (int64, error) {
	text := r.PathValue("id")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !digits.MatchString(text) || id == 0 {
		return 0, errArgument("id", "%q is no job id: wants a positive decimal number", shorten(text))
	}
	return id, nil
}

// number reads a parameter that may stand once; missing it is the fallback.
func number(query url.Values, name string, least, most, fallback int64) (int64, error) {
	values, ok := query[name]
	if !ok {
		return fallback, nil
	}
	value, err := strconv.ParseInt(values[0], 10, 64)
	if len(values) > 1 || err != nil || !digits.MatchString(values[0]) || value < least || value > most {
		return 0, errArgument(name, "%s=%q: wants one whole number from %d to %d", name, shorten(strings.Join(values, ",")), least, most)
	}
	return value, nil
}
