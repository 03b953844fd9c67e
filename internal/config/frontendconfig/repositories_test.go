package frontendconfig_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/frontendconfig"
)

func TestParseRepositories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "password"), []byte("from file\r\n\n"), 0o600))
	remote := func(host, user, password string) frontendconfig.Repository {
		return frontendconfig.Repository{
			URL:         &url.URL{Scheme: "https", Host: host, Path: "/r.git"},
			Credentials: config.NewSecret(frontendconfig.Credentials{Username: user, Password: password}),
		}
	}
	local := &url.URL{Scheme: "http", Host: "127.0.0.1:3000", Path: "/r"}
	type repositories = map[string]frontendconfig.Repository
	for name, test := range map[string]struct {
		yaml string
		want repositories
	}{
		"empty":           {"", nil},
		"only a comment":  {"# nothing yet\n", nil},
		"null":            {"~\n", nil},
		"empty mapping":   {"{}", repositories{}},
		"absolute path":   {"a: /srv/a/", repositories{"a": {Path: "/srv/a"}}},
		"relative path":   {"a: ../b", repositories{"a": {Path: filepath.Join(filepath.Dir(dir), "b")}}},
		"number as path":  {"a: 42", repositories{"a": {Path: filepath.Join(dir, "42")}}},
		"URL":             {"github.com/me/a: https://h/r.git", repositories{"github.com/me/a": remote("h", "", "")}},
		"user in the URL": {"a: https://me:pa%20ss@h/r.git", repositories{"a": remote("h", "me", "pa ss")}},
		"token only":      {"a: https://token@h/r.git", repositories{"a": remote("h", "token", "")}},
		"mapping":         {"a: {url: 'https://h/r.git'}", repositories{"a": remote("h", "", "")}},
		"password":        {"a: {url: 'https://h/r.git', username: me, password: 0123}", repositories{"a": remote("h", "me", "0123")}},
		"password file":   {"a: {url: 'https://h/r.git', username: me, passwordFile: password}", repositories{"a": remote("h", "me", "from file")}},
		"absolute file": {
			"a: {url: 'https://h/r.git', username: me, passwordFile: " + filepath.Join(dir, "password") + "}", repositories{"a": remote("h", "me", "from file")}},
		"plain http": {"a: http://127.0.0.1:3000/r", repositories{"a": {URL: local, Credentials: config.NewSecret(frontendconfig.Credentials{})}}},
		"plain http with credentials to this machine": {"a: http://me:pw@127.0.0.1:3000/r",
			repositories{"a": {URL: local, Credentials: config.NewSecret(frontendconfig.Credentials{Username: "me", Password: "pw"})}}},
		"several": {"a: /a\nb: /b\n", repositories{"a": {Path: "/a"}, "b": {Path: "/b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := frontendconfig.ParseRepositories([]byte(test.yaml), dir)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestParseRepositoriesErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "blank"), []byte("\n"), 0o600))
	for yaml, want := range map[string]string{
		"a: [":                                   "line 1",
		"- a":                                    "line 1: want a mapping, got a list",
		"a":                                      "line 1: want a mapping, got text",
		"a: /a\n---\nb: /b":                      "more than one YAML document",
		"a: /a\nb: /b\na: /c":                    `line 3: "a" stands already in line 1`,
		"a: /a\nb:":                              "repository b: line 2: want text, got nothing",
		"a: [b]":                                 "repository a: line 1: want a mapping, got a list",
		"a: ''":                                  "repository a: line 1: the location is empty",
		"[a]: b":                                 "line 1: want text, got a list",
		"a: &x /a\nb: *x":                        "repository b: line 2: want a mapping, got an alias",
		"<<: {a: /a}":                            "line 1: want text, got a merge key",
		"a: *hunter2":                            "unknown anchor: put text that begins with * into quotes",
		"../a: /a":                               `line 1: repository name "../a" has an empty`,
		"/a: /a":                                 "has an empty",
		"a//b: /a":                               "has an empty",
		"'': /a":                                 "has an empty",
		"a b: /a":                                "has white space",
		"a?b: /a":                                "has white space, a control character or one of",
		"a: git@github.com:me/a":                 "repository a: line 1: the location is an ssh address",
		"a: ssh://git@h/a":                       "repository a: line 1: the location must have the form http://host",
		"a: https://me:hunter2@h/a?b":            "repository a: line 1: the location has a query",
		"a: https://me:hunter2@h:port/a":         "repository a: line 1: the location is no URL",
		"a: http://me:hunter2@h/a":               "would send credentials unencrypted: use https",
		"a:\n  url: https://h\n  user: me":       `repository a: line 3: unknown member "user"`,
		"a: {username: me}":                      "repository a: line 1: url is missing",
		"a: {url: [x]}":                          "repository a: line 1: want text, got a list",
		"a: {url: https://h, url: https://g}":    `"url" stands already`,
		"a: {url: /srv/a}":                       "url must have the form",
		"a: {url: https://h, password: hunter2}": "a password needs a username",
		"a: {url: https://h, username: ''}":      "username is empty",
		"a: {url: https://h, username: m, password: ":                               "line 1",
		"a: {url: https://h, username: me, password: hunter2, passwordFile: blank}": "password and passwordFile are both given",
		"a: {url: https://h, username: me, passwordFile: blank}":                    "is empty",
		"a: {url: https://h, username: me, passwordFile: nowhere}":                  "no such file",
		"a: {url: 'https://you:hunter2@h', username: me}":                           "credentials stand both in the url and beside it",
		"a: {url: http://h, username: me, password: hunter2}":                       "would send credentials unencrypted",
	} {
		t.Run(yaml, func(t *testing.T) {
			t.Parallel()
			got, err := frontendconfig.ParseRepositories([]byte(yaml), dir)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "hunter2")
			require.Nil(t, got)
		})
	}
}

func TestLoadRepositoriesFindsPathsBesideTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "r.yaml")
	require.NoError(t, os.WriteFile(file, []byte("a: b\n"), 0o600))
	got, err := frontendconfig.LoadRepositories(file)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(filepath.Dir(file), "b"), got["a"].Path)
}

func TestRepositoryPrintsNoCredentials(t *testing.T) {
	t.Parallel()
	repositories, err := frontendconfig.ParseRepositories([]byte("a: https://hunter1:hunter2@h/r\nb: /srv/b\n"), "/")
	require.NoError(t, err)
	repository := repositories["a"]
	encoded, err := json.Marshal(repositories)
	require.NoError(t, err)
	for _, text := range []string{string(encoded), fmt.Sprintf("%v %+v %#v %s %q %v %#v", repository, repository, repository, repository, repository, &repository, repositories)} {
		require.NotContains(t, text, "hunter")
	}
	require.Equal(t, "https://h/r", repository.String())
	require.Equal(t, "/srv/b", repositories["b"].String())
	require.Equal(t, frontendconfig.Credentials{Username: "hunter1", Password: "hunter2"}, repository.Credentials.Reveal())
}

func FuzzParseRepositories(f *testing.F) {
	for _, seed := range []string{"a: /a", "a: https://u:p@h/r", "a: {url: https://h, username: u, password: p}", "a: &x {url: *x}", "? [a]\n: b", "%YAML 9.9\n---\na", "!!binary a: b", "a: !!null x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		repositories, err := frontendconfig.ParseRepositories(data, "/base")
		if err != nil {
			require.Nil(t, repositories)
			return
		}
		for name, repository := range repositories {
			require.NotEmpty(t, name)
			require.NotEqual(t, repository.Path == "", repository.URL == nil, "either a path or a URL")
			if repository.URL != nil {
				require.Nil(t, repository.URL.User)
				require.NotEmpty(t, repository.URL.Host)
			} else {
				require.True(t, filepath.IsAbs(repository.Path))
			}
		}
	})
}
