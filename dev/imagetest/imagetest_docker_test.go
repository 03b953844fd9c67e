//go:build docker

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/imagetest/engine"
)

// Tests in this file need an engine, and an image with a shell and the usual small tools.

const victim = "IMAGETEST_VICTIM"

// TestMain lets a test run this binary as the program, to be sent signals.
func TestMain(m *testing.M) {
	if os.Getenv(victim) != "" {
		main()
	}
	os.Exit(m.Run())
}

func testImage(t *testing.T) string {
	t.Helper()
	image := os.Getenv("EXECUTOR_TEST_IMAGE")
	require.NotEmpty(t, image, "set EXECUTOR_TEST_IMAGE to an image of this engine with sh and busybox's tools, as dev/test does")
	return image
}

func api(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.FromEnv)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// containers lists the containers of image tests whose command contains a word that is this test's own.
func containers(ctx context.Context, c *client.Client, word string) ([]string, error) {
	listed, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", engine.Label)})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, item := range listed.Items {
		if strings.Contains(item.Command, word) {
			found = append(found, item.ID)
		}
	}
	return found, nil
}

// real runs the program against the real engine.
func real(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = run(t.Context(), args, &out, &errOut, openEngine)
	return code, out.String(), errOut.String()
}

func TestEverythingInRealContainers(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := real(t, "--image", testImage(t), "--config", config(t, `
globalEnvVars: [{key: PATH, value: "$PATH:/extra"}]
commandTests:
  - {name: output, command: echo, args: ["$PATH"], expectedOutput: ["^/bin:/extra\n$"]}
  - {name: both, command: sh, args: [-c, "echo out; echo err >&2; exit 4"], exitCode: 4, expectedOutput: ["^out\n$"], expectedError: ["^err\n$"]}
  - {name: variable, command: env, envVars: [{key: A, value: "b $c"}], expectedOutput: ["(?m)^A=b \\$c$"]}
  - {name: set up, setup: [[mkdir, /made], [touch, /made/here]], teardown: [[rm, /made/here]], command: ls, args: [/made], expectedOutput: ["^here\n$"]}
  - {name: own file system, command: ls, args: [/made], exitCode: 1, expectedError: [made]}
fileExistenceTests:
  - {name: root, path: /, permissions: drwxr-xr-x}
  - {name: directory, path: /tmp/, permissions: dtrwxrwxrwx, uid: 0, gid: 0}
  - {name: link, path: /bin/sh, permissions: Lrwxrwxrwx}
  - {name: program, path: /bin/busybox, isExecutableBy: any}
  - {name: none, path: /none, shouldExist: false}
  - {name: below a file, path: /etc/passwd/x, shouldExist: false}
fileContentTests:
  - {name: passwd, path: /etc/passwd, expectedContents: ["^root:x:0:0"], excludedContents: [nobody]}
metadataTest: {cmd: [/bin/sh], entrypoint: [], envVars: [{key: PATH, value: /bin}], exposedPorts: [], unexposedPorts: [22]}
`))
	require.Equal(t, allPassed, code, "%s%s", stdout, stderr)
	require.Contains(t, stdout, "13 passed, 0 failed")
}

func TestOptionsInRealContainers(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := real(t, "--image", testImage(t), "--config", config(t, `
containerRunOptions: {user: "1234:5678", bindMounts: ["/proc/version:/bound:ro"]}
commandTests: [{name: user, command: id, expectedOutput: [uid=1234 gid=5678]}, {name: mount, command: cat, args: [/bound], expectedOutput: [Linux]}]
`))
	require.Equal(t, allPassed, code, "%s%s", stdout, stderr)
}

func TestFailuresInRealContainers(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := real(t, "--image", testImage(t), "--test-timeout=5s", "--config", config(t, `
commandTests:
  - {name: no program, command: /none}
  - {name: hangs, command: sleep, args: ["3601"]}
  - {name: floods, command: sh, args: [-c, "head -c 3000000 /dev/zero | tr '\\0' x"]}
`))
	require.Equal(t, someFailed, code, "%s%s", stdout, stderr)
	require.Contains(t, stdout, "starting the container: ")
	require.Contains(t, stdout, "it took longer than 5s")
	require.Contains(t, stdout, "the command wrote more than 1048576 bytes")
	require.Contains(t, stdout, "0 passed, 3 failed")
	left, err := containers(t.Context(), api(t), "3601")
	require.NoError(t, err)
	require.Empty(t, left)
}

// scratch writes an archive of an image of one file, without a shell, that claims a name.
func scratch(t *testing.T, name string) (file, id string) {
	t.Helper()
	var layer, archive bytes.Buffer
	write := func(w *tar.Writer, name, content string) {
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o640, Uid: 7, Gid: 8, Size: int64(len(content))}))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	sum := func(content []byte) string { s := sha256.Sum256(content); return hex.EncodeToString(s[:]) }
	files := tar.NewWriter(&layer)
	write(files, "only", t.Name())
	require.NoError(t, files.Close())
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"User": "1000", "ExposedPorts": map[string]any{"80/tcp": map[string]any{}}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum(layer.Bytes())}},
	})
	require.NoError(t, err)
	manifest, err := json.Marshal([]map[string]any{{"Config": "blobs/sha256/" + sum(config), "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	require.NoError(t, err)
	w := tar.NewWriter(&archive)
	write(w, "blobs/sha256/"+sum(config), string(config))
	write(w, "layer.tar", layer.String())
	write(w, "manifest.json", string(manifest))
	require.NoError(t, w.Close())
	file = filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(file, archive.Bytes(), 0o600))
	return file, "sha256:" + sum(config)
}

func TestAnArchiveIsLoadedAndRemovedAgain(t *testing.T) {
	t.Parallel()
	c := api(t)
	taken := "open-executor.invalid/imagetest-taken:x"
	_, err := c.ImageTag(t.Context(), client.ImageTagOptions{Source: testImage(t), Target: taken})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := c.ImageRemove(context.WithoutCancel(t.Context()), taken, client.ImageRemoveOptions{})
		require.NoError(t, err)
	})
	before, err := c.ImageInspect(t.Context(), taken)
	require.NoError(t, err)
	file, id := scratch(t, taken)

	code, stdout, stderr := real(t, "--tarball", file, "--config", config(t, `
commandTests: [{name: no shell, command: sh}]
fileExistenceTests: [{name: only, path: /only, permissions: -rw-r-----, uid: 7, gid: 8}, {name: sh, path: /bin/sh, shouldExist: false}]
fileContentTests: [{name: only, path: /only, expectedContents: ["^`+t.Name()+`$"]}]
metadataTest: {user: "1000", exposedPorts: [80]}
`))
	require.Equal(t, someFailed, code, "%s%s", stdout, stderr)
	require.Contains(t, stdout, "4 passed, 1 failed", "only the command fails, because there is no shell")

	after, err := c.ImageInspect(t.Context(), taken)
	require.NoError(t, err)
	require.Equal(t, before.ID, after.ID, "a name that was taken is as it was")
	_, err = c.ImageInspect(t.Context(), id)
	require.ErrorContains(t, err, "No such image")
}

func TestAnImageThatWasThereStays(t *testing.T) {
	t.Parallel()
	c := api(t)
	file, id := scratch(t, "open-executor.invalid/imagetest-stays:x")
	archive, err := os.Open(file)
	require.NoError(t, err)
	answer, err := c.ImageLoad(t.Context(), archive) // which closes the archive
	require.NoError(t, err)
	_, err = new(bytes.Buffer).ReadFrom(answer)
	require.NoError(t, err)
	require.NoError(t, answer.Close())
	t.Cleanup(func() {
		_, err := c.ImageRemove(context.WithoutCancel(t.Context()), id, client.ImageRemoveOptions{Force: true})
		require.NoError(t, err)
	})

	code, stdout, stderr := real(t, "--tarball", file, "--config", config(t, "metadataTest: {user: '1000'}\n"))
	require.Equal(t, allPassed, code, "%s%s", stdout, stderr)
	_, err = c.ImageInspect(t.Context(), id)
	require.NoError(t, err)
}

func TestSignalsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	for word, signal := range map[string]os.Signal{"3602": os.Interrupt, "3603": syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			c := api(t)
			program := exec.CommandContext(t.Context(), os.Args[0], "--image", testImage(t), "--config",
				config(t, "commandTests: [{name: a, setup: [[touch, /"+word+"]], command: sleep, args: ['"+word+"']}, {name: b, command: ls}]\n"))
			program.Env = append(os.Environ(), victim+"=1")
			var out bytes.Buffer
			program.Stdout, program.Stderr = &out, &out
			require.NoError(t, program.Start())
			require.Eventually(t, func() bool {
				running, err := containers(t.Context(), c, "sleep "+word)
				return err == nil && len(running) == 1
			}, time.Minute, 50*time.Millisecond)
			require.NoError(t, program.Process.Signal(signal))
			var failed *exec.ExitError
			require.ErrorAs(t, program.Wait(), &failed)
			require.Equal(t, couldNotRun, failed.ExitCode(), out.String())
			require.Contains(t, out.String(), "stopped before all tests were run")
			left, err := containers(t.Context(), c, word)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
