// Package upstreams reads the list of registries that a machine mirrors: one line each, of which one process serves one.
//
//	# name     registry                      options
//	defaults   max-age=336h disk-high=85% disk-low=75%
//	docker-io  https://registry-1.docker.io
//	ghcr       https://ghcr.io               port=5002 credentials=/etc/registry-mirror/credentials/ghcr
package upstreams

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/mirror/shelf"
)

// Upstream is one line of the list.
type Upstream struct {
	Name string
	URL  *url.URL
	// Address is where clients are served, Port there; metrics and health are at MetricsAddress, one port above.
	Address, MetricsAddress string
	Port                    int
	// Data is the directory in which each upstream has one of its name.
	Data string
	// CredentialsFile holds "user:password"; "" for none.
	CredentialsFile string
	HealthImage     string
	MaxAge          time.Duration
	High, Low       shelf.Mark
	MaxBlob         int64
	// TLSCert and TLSKey are files; both or none.
	TLSCert, TLSKey string
}

const (
	maxFile = 64 << 10
	// firstPort is the reference's; each line without a port of its own takes the next two.
	firstPort = 5000
)

var namePattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`)

// Load reads the list from a file. All errors are the operator's, and name file and line.
func Load(path string) ([]Upstream, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.Operatorf("list of upstreams: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fault.Operatorf("list of upstreams: %w", err)
	}
	if len(text) > maxFile {
		return nil, fault.Operatorf("%s: more than %d bytes, which is no list of upstreams", path, maxFile)
	}
	return Parse(path, text)
}

// Parse reads the list; path is for its errors.
func Parse(path string, text []byte) ([]Upstream, error) {
	defaults := Upstream{
		Data: "/mnt/registry", MetricsAddress: "127.0.0.1", MaxAge: 14 * 24 * time.Hour,
		High: shelf.Mark{Percent: 85}, Low: shelf.Mark{Percent: 75}, MaxBlob: 64 << 30,
	}
	var all []Upstream
	names, ports := make(map[string]bool), make(map[int]string)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		one, err := parseLine(words, defaults, len(all))
		switch {
		case err != nil:
		case names[words[0]]:
			err = fmt.Errorf("the name %s is there twice", words[0])
		case words[0] == "defaults" && len(all) > 0:
			err = fmt.Errorf("defaults must come before the first upstream")
		case words[0] != "defaults" && (ports[one.Port] != "" || ports[one.Port+1] != ""):
			err = fmt.Errorf("port %d or %d is taken by %s%s: give one with port=", one.Port, one.Port+1, ports[one.Port], ports[one.Port+1])
		}
		if err != nil {
			return nil, fault.Operatorf("%s, line %d: %w", path, number, err)
		}
		names[words[0]] = true
		if words[0] == "defaults" {
			defaults = one
			continue
		}
		ports[one.Port], ports[one.Port+1] = one.Name, one.Name
		all = append(all, one)
	}
	if err := lines.Err(); err != nil {
		return nil, fault.Operatorf("%s: %w", path, err)
	}
	if len(all) == 0 {
		return nil, fault.Operatorf("%s: no upstream is listed; a line is: name https://registry [option=value …]", path)
	}
	return all, nil
}

// Find returns the upstream of a name.
func Find(all []Upstream, name string) (Upstream, error) {
	for _, one := range all {
		if one.Name == name {
			return one, nil
		}
	}
	return Upstream{}, fault.Operatorf("the list of upstreams has none named %q", name)
}

func parseLine(words []string, one Upstream, index int) (Upstream, error) {
	allowed, options := onlyDefaults, words[1:]
	if words[0] != "defaults" {
		if !namePattern.MatchString(words[0]) {
			return one, fmt.Errorf("the name %q: want small letters, digits and dashes, at most 40", words[0])
		}
		if len(words) < 2 {
			return one, fmt.Errorf("%s has no registry: want name https://registry", words[0])
		}
		registry, err := parseURL(words[1])
		if err != nil {
			return one, err
		}
		one.Name, one.URL, one.Port = words[0], registry, firstPort+2*index
		if registry.Host == "registry-1.docker.io" {
			one.HealthImage = "library/hello-world:latest"
		}
		allowed, options = nil, words[2:]
	}
	seen := make(map[string]bool)
	for _, option := range options {
		key, value, ok := strings.Cut(option, "=")
		set := setters[key]
		switch {
		case !ok || set == nil:
			return one, fmt.Errorf("unknown option %q: want one of %s", option, strings.Join(optionNames(), ", "))
		case allowed != nil && !allowed[key]:
			return one, fmt.Errorf("%s belongs to one upstream, not to defaults", key)
		case seen[key]:
			return one, fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		if err := set(&one, value); err != nil {
			return one, fmt.Errorf("%s: %w", option, err)
		}
	}
	return one, one.check()
}

func (u *Upstream) check() error {
	if (u.TLSCert == "") != (u.TLSKey == "") {
		return fmt.Errorf("tls-cert and tls-key go together")
	}
	if (u.High.Bytes > 0) != (u.Low.Bytes > 0) {
		return fmt.Errorf("disk-high and disk-low must both be percents or both be bytes")
	}
	if u.Low.Bytes > u.High.Bytes || u.Low.Percent > u.High.Percent {
		return fmt.Errorf("disk-low is above disk-high")
	}
	return nil
}

func parseURL(text string) (*url.URL, error) {
	registry, err := url.Parse(text)
	switch {
	case err != nil:
		// The error repeats the text, which may hold a password.
		return nil, fmt.Errorf("the registry is no URL: want https://host[:port]")
	case registry.User != nil:
		return nil, fmt.Errorf("the registry's URL has a user in it: credentials go into a file, credentials=/path")
	case registry.Scheme != "https" && registry.Scheme != "http", registry.Host == "", registry.RawQuery != "", registry.Fragment != "":
		return nil, fmt.Errorf("the registry %q: want https://host[:port]", text)
	}
	return registry, nil
}

// Listen is where clients are served.
func (u Upstream) Listen() string { return net.JoinHostPort(u.Address, strconv.Itoa(u.Port)) }

// Metrics is where metrics and health are served.
func (u Upstream) Metrics() string { return net.JoinHostPort(u.MetricsAddress, strconv.Itoa(u.Port+1)) }

// Dir is where the upstream's content is.
func (u Upstream) Dir() string { return filepath.Join(u.Data, u.Name) }

// Credentials reads the user and password, both empty for none. The file must be its owner's alone.
func (u Upstream) Credentials() (user, password string, err error) {
	if u.CredentialsFile == "" {
		return "", "", nil
	}
	file, err := os.Open(u.CredentialsFile)
	if err != nil {
		return "", "", fault.Operatorf("credentials of %s: %w", u.Name, err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", "", fault.Operatorf("credentials of %s: %w", u.Name, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 || !info.Mode().IsRegular() {
		return "", "", fault.Operatorf("credentials of %s: %s has mode %#o, others may read it: chmod 600", u.Name, u.CredentialsFile, mode)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return "", "", fault.Operatorf("credentials of %s: %w", u.Name, err)
	}
	user, password, ok := strings.Cut(strings.TrimRight(string(text), "\r\n"), ":")
	if !ok || user == "" || password == "" || strings.ContainsAny(password, "\r\n") {
		return "", "", fault.Operatorf("credentials of %s: %s is not one line of user:password", u.Name, u.CredentialsFile)
	}
	return user, password, nil
}

func parseMark(value string) (shelf.Mark, error) {
	if percent, ok := strings.CutSuffix(value, "%"); ok {
		number, err := strconv.ParseFloat(percent, 64)
		if err != nil || !(number > 0 && number <= 100) {
			return shelf.Mark{}, fmt.Errorf("want a percent between 0 and 100")
		}
		return shelf.Mark{Percent: number}, nil
	}
	bytes, err := parseBytes(value)
	return shelf.Mark{Bytes: bytes}, err
}

func parseBytes(value string) (int64, error) {
	bytes, err := units.RAMInBytes(value)
	if err != nil || bytes <= 0 {
		return 0, fmt.Errorf("want a size such as 50GiB")
	}
	return bytes, nil
}
