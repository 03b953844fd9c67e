package frontendconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/open-executor/executor/internal/config"
)

// LoadRepositories reads the file FRONTEND_REPOSITORIES. Relative paths in it begin at its directory.
func LoadRepositories(path string) (map[string]Repository, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	repositories, err := ParseRepositories(data, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return repositories, nil
}

// ParseRepositories reads a YAML mapping from names of repositories to a local path, an http(s) URL, or a mapping of url and,
// optionally, username and either password or passwordFile. Anything else is an error with its line. Errors show no
// location and no credentials. Relative paths begin at baseDir.
func ParseRepositories(data []byte, baseDir string) (map[string]Repository, error) {
	root, err := parseDocument(data)
	if err != nil || root == nil {
		return nil, err
	}
	entries, err := members(root)
	if err != nil {
		return nil, err
	}
	repositories := make(map[string]Repository, len(entries))
	for _, entry := range entries {
		if err := checkName(entry.name); err != nil {
			return nil, atLine(entry.key, "%w", err)
		}
		repository, err := parseRepository(entry.value, baseDir)
		if err != nil {
			return nil, fmt.Errorf("repository %s: %w", entry.name, err)
		}
		repositories[entry.name] = repository
	}
	return repositories, nil
}

// parseDocument returns the root node of the only document, nil for an empty one.
func parseDocument(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, hideAnchor(err)
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one YAML document")
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	return root, nil
}

// hideAnchor drops the only error of the YAML decoder that quotes the file: a password that begins with "*" looks like an
// anchor's name.
func hideAnchor(err error) error {
	if strings.Contains(err.Error(), "unknown anchor") {
		return errors.New("yaml: unknown anchor: put text that begins with * into quotes")
	}
	return err
}

func parseRepository(node *yaml.Node, baseDir string) (Repository, error) {
	if node.Kind == yaml.ScalarNode {
		location, err := text(node)
		if err != nil {
			return Repository{}, err
		}
		repository, err := parseLocation(location, baseDir)
		if err == nil {
			err = repository.checkTransport()
		}
		if err != nil {
			return Repository{}, atLine(node, "the location %w", err)
		}
		return repository, nil
	}
	return parseRemoteMapping(node, baseDir)
}

// parseRemoteMapping reads {url, username, password, passwordFile}.
func parseRemoteMapping(node *yaml.Node, baseDir string) (Repository, error) {
	given, err := remoteMembers(node)
	if err != nil {
		return Repository{}, err
	}
	repository, err := parseRemote(given["url"])
	if err != nil {
		return Repository{}, atLine(node, "url %w", err)
	}
	credentials, err := readCredentials(given, baseDir)
	if err != nil {
		return Repository{}, atLine(node, "%w", err)
	}
	if credentials != (Credentials{}) {
		if repository.Credentials.Reveal() != (Credentials{}) {
			return Repository{}, atLine(node, "credentials stand both in the url and beside it: keep one")
		}
		repository.Credentials = config.NewSecret(credentials)
	}
	if err := repository.checkTransport(); err != nil {
		return Repository{}, atLine(node, "url %w", err)
	}
	return repository, nil
}

func remoteMembers(node *yaml.Node) (map[string]string, error) {
	entries, err := members(node)
	if err != nil {
		return nil, err
	}
	given := map[string]string{}
	for _, entry := range entries {
		switch entry.name {
		case "url", "username", "password", "passwordFile":
		default:
			return nil, atLine(entry.key, "unknown member %q: url, username, password and passwordFile are known", entry.name)
		}
		value, err := text(entry.value)
		if err != nil {
			return nil, err
		}
		if value == "" {
			return nil, atLine(entry.value, "%s is empty: give a value or leave it out", entry.name)
		}
		given[entry.name] = value
	}
	if given["url"] == "" {
		return nil, atLine(node, "url is missing")
	}
	return given, nil
}

func readCredentials(given map[string]string, baseDir string) (Credentials, error) {
	credentials := Credentials{Username: given["username"], Password: given["password"]}
	if path := given["passwordFile"]; path != "" {
		if credentials.Password != "" {
			return Credentials{}, errors.New("password and passwordFile are both given: keep one")
		}
		var err error
		if credentials.Password, err = readPassword(path, baseDir); err != nil {
			return Credentials{}, fmt.Errorf("passwordFile: %w", err)
		}
	}
	if credentials.Password != "" && credentials.Username == "" {
		return Credentials{}, errors.New("a password needs a username; git servers that take tokens accept any")
	}
	return credentials, nil
}

// readPassword returns a file's text without line breaks at its end.
func readPassword(path, baseDir string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(baseDir, path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	password := strings.TrimRight(string(content), "\r\n")
	if password == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return password, nil
}
