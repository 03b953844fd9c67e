package engine

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/imagetest/checks"
	"github.com/open-executor/executor/dev/imagetest/schema"
)

func TestVersionsAreAgreedOn(t *testing.T) {
	t.Parallel()
	for engine, want := range map[string]string{"1.40": "1.40", "1.41": "1.41", "1.47": "1.47", "1.99": client.MaxAPIVersion} {
		d := &daemon{version: engine, images: map[string]string{"x": "{}"}}
		e := start(t, d)
		require.Equal(t, want, e.Version())
		_, err := e.Config(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, map[string]bool{want: true}, d.versions, engine)
		require.NoError(t, e.Close())
	}
	_, err := open(t, &daemon{version: "1.24"})
	require.ErrorContains(t, err, "1.24 is not supported")
}

func TestWithoutAnEngine(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), "run1", client.WithHost("unix:///nowhere/docker.sock"))
	require.ErrorContains(t, err, "no Docker engine at unix:///nowhere/docker.sock")
	_, err = Open(t.Context(), "run1", client.WithHost("nonsense"))
	require.ErrorContains(t, err, "setting up a client of the Docker engine")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	d := &daemon{images: map[string]string{
		"full": `{"User":"1000","WorkingDir":"/w","Env":["A=b=c","E="],"Cmd":["x"],"Entrypoint":["y"],"Labels":{"l":"m"},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}}}`,
		"none": `null`,
	}}
	e := start(t, d)
	config, err := e.Config(t.Context(), "full")
	require.NoError(t, err)
	require.Equal(t, checks.Config{
		Cmd: []string{"x"}, Entrypoint: []string{"y"}, Env: map[string]string{"A": "b=c", "E": ""}, Labels: map[string]string{"l": "m"},
		Ports: []string{"80"}, Volumes: []string{"/v"}, User: "1000", Workdir: "/w",
	}, config)
	_, err = e.Config(t.Context(), "none")
	require.ErrorContains(t, err, "image none has no configuration")
	_, err = e.Config(t.Context(), "other")
	require.ErrorContains(t, err, "the engine has no image other")
	require.NoError(t, e.Close())
}

func TestCommandsRunInContainersOfTheirOwn(t *testing.T) {
	t.Parallel()
	d := &daemon{exit: 3, logs: append(frame(1, "out"), frame(2, "err")...)}
	e := start(t, d)
	outcome, err := e.Run(t.Context(), checks.Run{
		Image: "x", Command: []string{"a", "b"}, Env: []string{"C=d"},
		Options: schema.RunOptions{User: "1000", Privileged: true, Binds: []string{"/a:/b"}},
	})
	require.NoError(t, err)
	require.Equal(t, checks.Outcome{ExitCode: 3, Stdout: "out", Stderr: "err"}, outcome)
	require.Equal(t, []string{
		"POST /containers/create", "POST /containers/container1/start", "POST /containers/container1/wait", "GET /containers/container1/logs",
		"DELETE /containers/container1?force=1&v=1",
	}, d.requests)
	body := d.created[0]
	require.Equal(t, []any{""}, body["Entrypoint"], "the image's entrypoint is left out")
	require.Equal(t, []any{"a", "b"}, body["Cmd"])
	require.Equal(t, []any{"C=d"}, body["Env"])
	require.Equal(t, map[string]any{Label: "run1"}, body["Labels"])
	require.Equal(t, "1000", body["User"])
	host := body["HostConfig"].(map[string]any)
	require.Equal(t, "json-file", host["LogConfig"].(map[string]any)["Type"])
	require.Equal(t, true, host["Privileged"])
	require.Equal(t, []any{"/a:/b"}, host["Binds"])
	require.NoError(t, e.Close())
}

// Whatever goes wrong after a container was made, it is removed.
func TestContainersThatFailAreRemoved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		daemon *daemon
		want   string
	}{
		"start":      {&daemon{refuse: map[string]string{"/start": "exec: no such file"}}, "starting the container: Error response from daemon: exec: no such file"},
		"wait":       {&daemon{refuse: map[string]string{"/wait": "lost"}}, "waiting for the container: Error response from daemon: lost"},
		"logs":       {&daemon{refuse: map[string]string{"/logs": "no driver"}}, "reading the output: Error response from daemon: no driver"},
		"no frames":  {&daemon{logs: []byte("no frames at all")}, "reading the output: "},
		"much":       {&daemon{logs: frame(1, strings.Repeat("x", maxOutput+1))}, "the command wrote more than 1048576 bytes"},
		"much error": {&daemon{logs: frame(2, strings.Repeat("x", maxOutput+1))}, "the command wrote more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := c.daemon
			e := start(t, d)
			_, err := e.Run(t.Context(), checks.Run{Image: "x", Command: []string{"a"}})
			require.ErrorContains(t, err, c.want)
			require.Equal(t, "DELETE /containers/container1?force=1&v=1", d.requests[len(d.requests)-1])
			require.NoError(t, e.Close())
		})
	}
}

func TestContainersThatCannotBeMadeOrRemoved(t *testing.T) {
	t.Parallel()
	e := start(t, &daemon{refuse: map[string]string{"/create": "no space"}})
	_, err := e.Run(t.Context(), checks.Run{Image: "x"})
	require.ErrorContains(t, err, "making a container of x: Error response from daemon: no space")
	require.NoError(t, e.Close())

	e = start(t, &daemon{refuse: map[string]string{"DELETE": "busy"}})
	_, err = e.Run(t.Context(), checks.Run{Image: "x"})
	require.ErrorContains(t, err, "removing container container1: Error response from daemon: busy")
	require.NoError(t, e.Close())
}

func TestContainersOfAnEndedContextAreRemoved(t *testing.T) {
	t.Parallel()
	d := &daemon{waiting: make(chan struct{})}
	e := start(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := e.Run(ctx, checks.Run{Image: "x", Command: []string{"sleep"}})
		done <- err
	}()
	<-d.waiting
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Equal(t, "DELETE /containers/container1?force=1&v=1", d.requests[len(d.requests)-1])

	_, err := e.Run(ctx, checks.Run{Image: "x"})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, d.created, 1, "nothing new is made")
	require.NoError(t, e.Close())
}

func TestSnapshotsAreRemovedNewestFirst(t *testing.T) {
	t.Parallel()
	d := &daemon{exit: 5}
	e := start(t, d)
	for i, from := range []string{"x", "image2"} {
		image, exit, err := e.Snapshot(t.Context(), checks.Run{Image: from, Command: []string{"a"}})
		require.NoError(t, err)
		require.Equal(t, 5, exit)
		require.Equal(t, []string{"image2", "image4"}[i], image)
	}
	require.Contains(t, d.requests, "POST /commit?container=container3")
	d.requests = nil
	require.NoError(t, e.Close())
	require.Equal(t, []string{"DELETE /images/image4", "DELETE /images/image2"}, d.requests)
}

func TestSnapshotsThatFail(t *testing.T) {
	t.Parallel()
	d := &daemon{refuse: map[string]string{"/commit": "no space"}}
	e := start(t, d)
	_, _, err := e.Snapshot(t.Context(), checks.Run{Image: "x"})
	require.ErrorContains(t, err, "keeping what the command left: Error response from daemon: no space")
	require.Contains(t, d.requests, "DELETE /containers/container1?force=1&v=1")

	d.refuse = map[string]string{"DELETE /images": "in use"}
	_, _, err = e.Snapshot(t.Context(), checks.Run{Image: "x"})
	require.NoError(t, err)
	require.ErrorContains(t, e.Close(), "removing image image3: Error response from daemon: in use")
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path    string
		entries []tar.Header
		mode    os.FileMode
		content string
	}{
		"file":      {"/etc/passwd", []tar.Header{regular("passwd", "root")}, 0o644, "root"},
		"directory": {"/tmp/", []tar.Header{{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, regular("tmp/x", "never read")}, os.ModeDir | os.ModeSticky | 0o777, ""},
		"root":      {"/", []tar.Header{{Typeflag: tar.TypeDir, Name: "/", Mode: 0o755}}, os.ModeDir | 0o755, ""},
		"link":      {"/bin/sh", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "sh", Linkname: "busybox", Mode: 0o777}}, os.ModeSymlink | 0o777, ""},
		"set-uid":   {"su", []tar.Header{{Typeflag: tar.TypeReg, Name: "su", Mode: 0o4755}}, os.ModeSetuid | 0o755, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.entries[0].Uid, c.entries[0].Gid = 7, 8
			d := &daemon{archive: archiveOf(t, c.entries...)}
			e := start(t, d)
			file, err := e.File(t.Context(), "x", c.path)
			require.NoError(t, err)
			require.Equal(t, c.mode, file.Mode)
			require.Equal(t, []int{7, 8}, []int{file.UID, file.GID})
			require.Equal(t, c.entries[0].Linkname, file.LinkTo)
			content, err := io.ReadAll(file)
			require.NoError(t, err)
			require.Equal(t, c.content, string(content))
			require.NoError(t, file.Close())
			require.Equal(t, []string{"POST /containers/create", "GET /containers/container1/archive", "DELETE /containers/container1?force=1&v=1"}, d.requests,
				"the container is never started")
			require.NoError(t, e.Close())
		})
	}
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		daemon *daemon
		want   string
		none   bool
	}{
		"not there":    {&daemon{}, "/a: there is no such file", true},
		"device":       {&daemon{archive: archiveOf(t, tar.Header{Typeflag: tar.TypeChar, Name: "a"})}, "/a: there is no such file", true},
		"another":      {&daemon{archive: archiveOf(t, regular("b", ""))}, "the engine answered with b", false},
		"no archive":   {&daemon{archive: []byte("x")}, "reading /a: unexpected EOF", false},
		"empty":        {&daemon{archive: []byte{}}, "reading /a: EOF", false},
		"below a file": {&daemon{refuse: map[string]string{"/archive": "lstat /x/merged/a: not a directory"}}, "/a: there is no such file", true},
		"engine says":  {&daemon{refuse: map[string]string{"/archive": "broken"}}, "reading /a: Error response from daemon: broken", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := c.daemon
			e := start(t, d)
			_, err := e.File(t.Context(), "x", "/a")
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.none, errors.Is(err, checks.ErrNoFile))
			require.Equal(t, "DELETE /containers/container1?force=1&v=1", d.requests[len(d.requests)-1])
			require.NoError(t, e.Close())
		})
	}
}
