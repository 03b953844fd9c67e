package upstreams

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/mirror/shelf"
)

func TestParse(t *testing.T) {
	t.Parallel()
	all, err := Parse("list", []byte(`
# Comments and empty lines are nothing.
defaults  max-age=48h disk-high=80% disk-low=70.5%   address=10.0.0.2

hub     https://registry-1.docker.io # the reference's
ghcr    https://ghcr.io   credentials=/etc/c max-age=never disk-high=50GiB disk-low=1GiB metrics-address=0.0.0.0
second  http://10.1.2.3:5000/prefix  port=6000 health=none data=/data tls-cert=/c tls-key=/k max-blob=1GiB
`))
	require.NoError(t, err)
	require.Len(t, all, 3)

	hub, err := Find(all, "hub")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.2:5000", hub.Listen())
	require.Equal(t, "127.0.0.1:5001", hub.Metrics())
	require.Equal(t, "/mnt/registry/hub", hub.Dir())
	require.Equal(t, "library/hello-world:latest", hub.HealthImage)
	require.Equal(t, 48*time.Hour, hub.MaxAge)
	require.Equal(t, shelf.Mark{Percent: 70.5}, hub.Low)

	ghcr, err := Find(all, "ghcr")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.2:5002", ghcr.Listen())
	require.Equal(t, "0.0.0.0:5003", ghcr.Metrics())
	require.Equal(t, shelf.Mark{Bytes: 50 << 30}, ghcr.High)
	require.Zero(t, ghcr.MaxAge)
	require.Empty(t, ghcr.HealthImage)

	second, err := Find(all, "second")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.2:6000", second.Listen())
	require.Equal(t, "/data/second", second.Dir())
	require.Equal(t, "http://10.1.2.3:5000/prefix", second.URL.String())

	_, err = Find(all, "defaults")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const good = "hub https://a.example\n"
	for text, want := range map[string]string{
		"":                                      "no upstream is listed",
		"defaults max-age=48h":                  "no upstream is listed",
		"Hub https://a.example":                 "the name \"Hub\"",
		"../x https://a.example":                "the name",
		"hub":                                   "has no registry",
		"hub a.example":                         "want https://host[:port]",
		"hub ftp://a.example":                   "want https://host[:port]",
		"hub https://a.example?x=y":             "want https://host[:port]",
		"hub https://u:secret@a.example":        "credentials go into a file",
		"hub https://u:secret@a.example:x":      "is no URL",
		good + good:                             "line 2: the name hub is there twice",
		good + "defaults max-age=48h":           "must come before",
		good + "b https://b.example port=5001":  "is taken by hub",
		good + "b https://b.example port=80":    "want a port",
		"hub https://a.example speed=fast":      "unknown option",
		"hub https://a.example port":            "unknown option",
		"defaults port=5000":                    "belongs to one upstream",
		"defaults credentials=/c":               "belongs to one upstream",
		"hub https://a.example data=x":          "want an absolute path",
		"hub https://a.example data=/a/../b":    "want an absolute path",
		"hub https://a.example data=/a data=/b": "is there twice",
		"hub https://a.example max-age=1m":      "at least an hour",
		"hub https://a.example max-age=soon":    "at least an hour",
		"hub https://a.example disk-high=0%":    "between 0 and 100",
		"hub https://a.example disk-high=NaN%":  "between 0 and 100",
		"hub https://a.example disk-high=101%":  "between 0 and 100",
		"hub https://a.example disk-high=-5":    "want a size",
		"hub https://a.example disk-high=5GiB":  "both be percents or both be bytes",
		"hub https://a.example disk-high=50%":   "disk-low is above disk-high",
		"hub https://a.example tls-cert=/c":     "go together",
		"hub https://a.example address=all":     "want an IP address",
		"hub https://a.example max-blob=huge":   "want a size",
	} {
		_, err := Parse("list", []byte(text))
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "list", text)
		require.NotContains(t, err.Error(), "secret")
		require.Equal(t, fault.Operator, fault.ClassOf(err), text)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	_, err := Load(path)
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("#\n", maxFile)), 0o600))
	_, err = Load(path)
	require.ErrorContains(t, err, "no list of upstreams")
}

func TestImagesListIsOne(t *testing.T) {
	t.Parallel()
	all, err := Load("../../../docker-mirror/first-boot/upstreams")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, ":5000", all[0].Listen())
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	one := Upstream{Name: "hub"}
	user, password, err := one.Credentials()
	require.NoError(t, err)
	require.Empty(t, user+password)

	one.CredentialsFile = filepath.Join(t.TempDir(), "hub")
	_, _, err = one.Credentials()
	require.ErrorIs(t, err, os.ErrNotExist)
	write := func(text string, mode os.FileMode) {
		require.NoError(t, os.WriteFile(one.CredentialsFile, []byte(text), 0o600))
		require.NoError(t, os.Chmod(one.CredentialsFile, mode))
	}
	write("me:se:cret\n", 0o600)
	user, password, err = one.Credentials()
	require.NoError(t, err)
	require.Equal(t, "me/se:cret", user+"/"+password)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o620} {
		write("me:secret\n", mode)
		_, _, err = one.Credentials()
		require.ErrorContains(t, err, "chmod 600")
	}
	for _, text := range []string{"", "secret", ":secret", "me:", "me:secret\nmore\n"} {
		write(text, 0o600)
		_, _, err = one.Credentials()
		require.ErrorContains(t, err, "not one line of user:password", text)
		require.NotContains(t, err.Error(), "secret", text)
	}
}
