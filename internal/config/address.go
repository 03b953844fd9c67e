package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// ParseHTTPURL parses an http or https URL with a host. Errors say what is wrong without showing user information, which may
// be a password.
func ParseHTTPURL(raw string) (*url.URL, error) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return nil, unparsable(raw, err)
	}
	if parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "" {
		return nil, errors.New("must have the form http://host or https://host, optionally followed by :port and a path")
	}
	return parsed, nil
}

// unparsable drops what url.Parse quotes of the URL where that may be a part of a password.
func unparsable(raw string, err error) error {
	var parseError *url.Error
	if strings.Contains(raw, "@") || !errors.As(err, &parseError) {
		return errors.New("is no URL")
	}
	return fmt.Errorf("is no URL: %w", parseError.Err)
}

// CheckListenAddr checks a TCP address to listen on: host:port, where the host may be empty (all addresses of the machine) and
// port 0 means any free one.
func CheckListenAddr(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("must have the form host:port or :port, got %q", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("must have a port from 0 to 65535, got %q", address)
	}
	return nil
}

// CheckToken checks that a token can stand in an HTTP header as it is: no white space, no control characters. The error doesn't show
// the token.
func CheckToken(token string) error {
	switch {
	case strings.TrimSpace(token) != token:
		return errors.New("must not begin or end with white space; a line break at the end of a file is the usual cause")
	case strings.ContainsFunc(token, func(char rune) bool { return unicode.IsSpace(char) || unicode.IsControl(char) }):
		return errors.New("must not hold white space or control characters")
	}
	return nil
}
