package rootfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
	"github.com/open-executor/executor/docker-images/debian/internal/deb/debtest"
	"github.com/open-executor/executor/docker-images/debian/internal/definition"
)

// read parses packages.
func read(t testing.TB, packages ...debtest.Package) []*deb.Package {
	t.Helper()
	var all []*deb.Package
	for _, p := range packages {
		parsed, err := deb.Read(p.Bytes(t))
		require.NoError(t, err)
		all = append(all, parsed)
	}
	return all
}

// with is a package of the entries.
func with(name string, entries ...debtest.Entry) debtest.Package {
	return debtest.Package{Name: name, Data: entries}
}

// layer is a layer of the packages and nothing particular.
func layer(t testing.TB, packages ...debtest.Package) Layer {
	return Layer{Packages: read(t, packages...)}
}

// build makes a root with amd64's merged /usr.
func build(t testing.TB, layers ...Layer) (*Root, error) {
	t.Helper()
	return Build("amd64", []string{"usr/share/man/", "usr/share/doc/"}, map[string]string{"libc6": "restarts services"}, layers)
}

// listed is an entry of a layer as the tests write it.
type listed struct {
	tar.Header
	body string
}

// list reads a layer's entries, sees to it that they are in order and each given once, and returns them by name.
func list(t testing.TB, layer []byte) map[string]listed {
	t.Helper()
	stream, err := gzip.NewReader(bytes.NewReader(layer))
	require.NoError(t, err)
	archive := tar.NewReader(stream)
	all := make(map[string]listed)
	var order []string
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		body, err := io.ReadAll(archive)
		require.NoError(t, err)
		require.True(t, header.ModTime.Equal(modified), header.Name)
		require.Empty(t, header.Uname+header.Gname, header.Name)
		name := strings.TrimSuffix(header.Name, "/")
		require.NotContains(t, all, name)
		all[name], order = listed{*header, string(body)}, append(order, name)
	}
	require.True(t, slices.IsSorted(order), "sorted: %v", order)
	return all
}

// made builds a root and lists its topmost layer.
func made(t testing.TB, layers ...Layer) map[string]listed {
	t.Helper()
	root, err := build(t, layers...)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, root.WriteLayer(&out))
	return list(t, out.Bytes())
}

// people are the files that users are added to.
func people() debtest.Package {
	return with("base-passwd",
		debtest.File("usr/share/base-passwd/passwd.master", 0o644, "root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
		debtest.File("usr/share/base-passwd/group.master", 0o644, "root:*:0:\nnogroup:*:65534:\n"),
	)
}

func executor() definition.User {
	return definition.User{Name: "executor", ID: 1000, Home: "/home/executor", Shell: "/bin/bash"}
}
