package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config"
)

func TestParseHTTPURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"http://host", "https://host:3443/base/path", "http://[::1]:80", "HTTPS://Host", "https://me:secret@host"} {
		parsed, err := config.ParseHTTPURL(good)
		require.NoError(t, err, good)
		require.NotEmpty(t, parsed.Host, good)
	}
	for bad, want := range map[string]string{
		"":                        "must have the form http://host",
		"host:3080":               "must have the form http://host",
		"host":                    "must have the form http://host",
		"http://":                 "must have the form http://host",
		"http://:80":              "must have the form http://host",
		"ftp://host":              "must have the form http://host",
		"http://host:port":        "is no URL: invalid port",
		"://host":                 "is no URL: missing protocol scheme",
		"http://ho st":            "is no URL: invalid character",
		"http://me:hunter2@host:": "",
		"http://me:hunter2@[":     "is no URL",
	} {
		_, err := config.ParseHTTPURL(bad)
		if want == "" {
			require.NoError(t, err, bad)
			continue
		}
		require.ErrorContains(t, err, want, bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func FuzzParseHTTPURLHidesUserInformation(f *testing.F) {
	f.Add("@host")
	f.Add("@ho st:x")
	f.Add("\x00@")
	f.Add("%zz@host")
	f.Fuzz(func(t *testing.T, rest string) {
		parsed, err := config.ParseHTTPURL("http://me:hunter2" + rest)
		if err == nil {
			require.NotEmpty(t, parsed.Hostname())
		} else if strings.Contains(rest, "@") {
			require.NotContains(t, err.Error(), "hunter2")
		}
	})
}

func TestCheckListenAddr(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"127.0.0.1:7080", ":0", "[::1]:65535", "localhost:80"} {
		require.NoError(t, config.CheckListenAddr(good), good)
	}
	for _, bad := range []string{"", "7080", "127.0.0.1", "host:http", "host:65536", "host:-1", "::1:80", "host:"} {
		require.Error(t, config.CheckListenAddr(bad), bad)
	}
}

func TestCheckToken(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"", "abc-DEF_123", "pässword"} {
		require.NoError(t, config.CheckToken(good), good)
	}
	for _, bad := range []string{"hunter2\n", " hunter2", "hunter2 hunter3", "hunter2\x00", "hunter2\tx"} {
		err := config.CheckToken(bad)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "hunter")
	}
}

func TestHostAbs(t *testing.T) {
	t.Parallel()
	host := config.Host{WorkDir: "/wd"}
	require.Equal(t, "/wd/a/b", host.Abs("a/./b"))
	require.Equal(t, "/a", host.Abs("/b/../a/"))
}

func TestCurrentHost(t *testing.T) {
	t.Parallel()
	host, err := config.CurrentHost("1.2.3")
	require.NoError(t, err)
	require.Equal(t, "1.2.3", host.Version)
	for _, known := range []string{host.OS, host.Arch, host.Hostname} {
		require.NotEmpty(t, known)
	}
	require.True(t, strings.HasPrefix(host.WorkDir, "/"))
}
