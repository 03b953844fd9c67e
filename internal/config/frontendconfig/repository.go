package frontendconfig

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/open-executor/executor/internal/config"
)

// Repository is where a repository is. Either Path or URL is set. No way of printing or encoding it shows the credentials.
type Repository struct {
	// Path is an absolute local path.
	Path string
	// URL is http or https, without user information, query and fragment.
	URL *url.URL
	// Credentials go with requests to URL; zero for none.
	Credentials config.Secret[Credentials]
}

// Credentials are a user name and a password. Either may be a token, the other one is then often empty.
type Credentials struct{ Username, Password string }

// String names the place without credentials.
func (r Repository) String() string {
	if r.URL != nil {
		return r.URL.Redacted()
	}
	return r.Path
}

// otherTransport finds git's short form of ssh addresses, user@host:path.
var otherTransport = regexp.MustCompile(`^[^/]+@[^/]+:`)

// parseLocation reads a local path, relative to baseDir, or an http(s) URL whose user information becomes credentials.
func parseLocation(raw, baseDir string) (Repository, error) {
	switch {
	case raw == "":
		return Repository{}, errors.New("is empty: give a local path or an https URL")
	case otherTransport.MatchString(raw) && !strings.Contains(raw, "://"):
		return Repository{}, errors.New("is an ssh address: only local paths and https URLs work")
	case strings.Contains(raw, "://"):
		return parseRemote(raw)
	case filepath.IsAbs(raw):
		return Repository{Path: filepath.Clean(raw)}, nil
	default:
		return Repository{Path: filepath.Join(baseDir, raw)}, nil
	}
}

func parseRemote(raw string) (Repository, error) {
	location, err := config.ParseHTTPURL(raw)
	if err != nil {
		return Repository{}, err
	}
	if location.RawQuery != "" || location.Fragment != "" || location.ForceQuery {
		return Repository{}, errors.New("has a query or a fragment: give only the address of the repository")
	}
	var credentials Credentials
	if location.User != nil {
		credentials.Username = location.User.Username()
		credentials.Password, _ = location.User.Password()
		location.User = nil
	}
	return Repository{URL: location, Credentials: config.NewSecret(credentials)}, nil
}

// checkTransport keeps credentials off the open network.
func (r Repository) checkTransport() error {
	if r.Credentials.Reveal() == (Credentials{}) || r.URL.Scheme == "https" {
		return nil
	}
	host := r.URL.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return errors.New("would send credentials unencrypted: use https")
}

// checkName accepts names that can stand in a URL path: slash-separated, no empty, "." or ".." element, no control
// characters, nothing that a URL would read otherwise.
func checkName(name string) error {
	for element := range strings.SplitSeq(name, "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Errorf("repository name %q has an empty, \".\" or \"..\" element: write it like github.com/me/project", name)
		}
	}
	if strings.ContainsFunc(name, func(char rune) bool { return char <= ' ' || char == 0x7f || strings.ContainsRune(`\?#%`, char) }) {
		return fmt.Errorf("repository name %q has white space, a control character or one of \\ ? # %%", name)
	}
	return nil
}
