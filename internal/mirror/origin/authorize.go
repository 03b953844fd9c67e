package origin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/publicsuffix"
)

const (
	maxToken = 64 << 10
	// maxTokens bounds how many repositories' tokens are kept.
	maxTokens = 1024
	// tokenLife is for tokens that don't say (distribution's token specification); a token is renewed tokenMargin before its end.
	tokenLife   = time.Minute
	tokenMargin = 10 * time.Second
)

type token struct {
	authorization string
	until         time.Time
}

// tokens are the authorizations that are known, by scope.
type tokens struct {
	mu   sync.Mutex
	kept map[string]token
}

func (t *tokens) known(scope string, now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept, ok := t.kept[scope]; ok && now.Before(kept.until) {
		return kept.authorization
	}
	return ""
}

func (t *tokens) keep(scope, authorization string, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.kept) >= maxTokens {
		clear(t.kept)
	}
	t.kept[scope] = token{authorization, until}
}

// scopeOf is the scope of the repository that a path of the API is about.
func scopeOf(path string) string {
	name := strings.TrimPrefix(path, "/v2/")
	for _, part := range []string{"/manifests/", "/blobs/", "/tags/"} {
		if at := strings.LastIndex(name, part); at > 0 {
			return "repository:" + name[:at] + ":pull"
		}
	}
	return ""
}

var parameter = regexp.MustCompile(`([A-Za-z_]+)="([^"]*)"`)

// authorize answers a challenge; "" when nothing can be answered.
func (c *Client) authorize(ctx context.Context, challenges []string, scope string) (string, error) {
	user, password, err := c.config.Credentials()
	if err != nil {
		return "", &Failure{Kind: Denied, Err: err}
	}
	for _, challenge := range challenges {
		scheme, rest, _ := strings.Cut(challenge, " ")
		switch strings.ToLower(scheme) {
		case "basic":
			if user == "" {
				continue
			}
			authorization := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
			c.tokens.keep(scope, authorization, c.config.Now().Add(maxPause))
			return authorization, nil
		case "bearer":
			parameters := make(map[string]string)
			for _, found := range parameter.FindAllStringSubmatch(rest, -1) {
				parameters[strings.ToLower(found[1])] = found[2]
			}
			return c.fetchToken(ctx, parameters["realm"], parameters["service"], scope, user, password)
		}
	}
	return "", nil
}

func (c *Client) fetchToken(ctx context.Context, realm, service, scope, user, password string) (string, error) {
	where, err := url.Parse(realm)
	if err != nil || !c.trusts(where) {
		return "", &Failure{Kind: Denied, Err: fmt.Errorf("the upstream wants a token from %q, which is not of its own domain: nothing was sent there", realm)}
	}
	query := where.Query()
	query.Set("service", service)
	if scope != "" {
		query.Set("scope", scope)
	}
	where.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, c.config.HeaderTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return "", err
	}
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if failure := classify(response, nil, c.config.Now()); failure != nil {
		failure.Err = fmt.Errorf("token from %s: %w", where.Host, failure.Err)
		return "", failure
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxToken)).Decode(&answer); err != nil {
		return "", fmt.Errorf("token from %s: %w", where.Host, err)
	}
	if answer.Token == "" {
		answer.Token = answer.AccessToken
	}
	if answer.Token == "" {
		return "", fmt.Errorf("token from %s: the answer has none", where.Host)
	}
	life := tokenLife
	if answer.ExpiresIn > 0 && answer.ExpiresIn < 1<<20 {
		life = time.Duration(answer.ExpiresIn) * time.Second
	}
	authorization := "Bearer " + answer.Token
	c.tokens.keep(scope, authorization, c.config.Now().Add(life-tokenMargin))
	return authorization, nil
}

// trusts says whether credentials may go to a realm: to the upstream's own host, or by https to its registrable domain, as
// registry-1.docker.io has its tokens at auth.docker.io.
func (c *Client) trusts(realm *url.URL) bool {
	upstream := c.config.URL
	if realm.Host == upstream.Host && realm.Scheme == upstream.Scheme {
		return true
	}
	if realm.Scheme != "https" || net.ParseIP(upstream.Hostname()) != nil {
		return false
	}
	ours, err := publicsuffix.EffectiveTLDPlusOne(upstream.Hostname())
	if err != nil {
		return false
	}
	theirs, err := publicsuffix.EffectiveTLDPlusOne(realm.Hostname())
	return err == nil && ours == theirs
}

// refuseLinkLocal keeps an upstream's redirects away from the cloud's metadata service.
func refuseLinkLocal(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if addr := at.Addr().Unmap(); addr.IsLinkLocalUnicast() || addr == metadataIPv6 {
		return errors.New(addr.String() + " is an address of this machine's surroundings, never of a registry")
	}
	return nil
}

// metadataIPv6 is the metadata service of AWS over IPv6; the others are link-local.
var metadataIPv6 = netip.MustParseAddr("fd00:ec2::254")
