package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/frontendconfig"
)

// connect makes the client that the flags and the environment ask for.
func (w world) connect(c *cli.Context) (*apiclient.Client, error) {
	if _, err := outputOf(c); err != nil {
		return nil, err
	}
	base := w.setting(c, flagURL, "EXECCTL_URL")
	if base == "" {
		base = defaultURL
	}
	token, err := w.token(c, base)
	if err != nil {
		return nil, usageError{err}
	}
	client, err := apiclient.New(base, token, apiclient.Config{})
	if err != nil {
		return nil, usageError{err}
	}
	return client, nil
}

// setting is a flag's value, else a variable's.
func (w world) setting(c *cli.Context, flag, variable string) string {
	if c.IsSet(flag) {
		return c.String(flag)
	}
	value, _ := w.env(variable)
	return value
}

// token finds the token: a named file, the environment, or the file of a frontend on this machine.
func (w world) token(c *cli.Context, base string) (string, error) {
	if c.IsSet(flagTokenFile) {
		return readToken(c.String(flagTokenFile))
	}
	if token, _ := w.env("EXECCTL_TOKEN"); token != "" {
		return token, nil
	}
	if file, _ := w.env("EXECCTL_TOKEN_FILE"); file != "" {
		return readToken(file)
	}
	const advice = "set EXECCTL_TOKEN, or name its file with --token-file"
	if !local(base) {
		// This machine's token is nobody else's business.
		return "", errors.New("no token for the frontend at " + base + ": " + advice)
	}
	dir, err := frontendconfig.DataDir(w.env, config.Host{UID: w.uid})
	if err != nil {
		return "", fmt.Errorf("no token: %s; %s", err, advice)
	}
	token, err := readToken(filepath.Join(dir, "api-token"))
	if err != nil {
		return "", fmt.Errorf("no token: %s; %s", err, advice)
	}
	return token, nil
}

func readToken(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%s holds no token: wants one word", file)
	}
	return token, nil
}

// local reports whether a URL leads to this machine.
func local(base string) bool {
	parsed, err := url.Parse(base)
	if err != nil {
		return false
	}
	ip := net.ParseIP(parsed.Hostname())
	return parsed.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
