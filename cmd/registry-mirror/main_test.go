package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// The distribution never ends the goroutine that hands its events to nobody.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/docker/go-events.(*Broadcaster).run"))
}

func TestList(t *testing.T) {
	list := filepath.Join(t.TempDir(), "upstreams")
	require.NoError(t, os.WriteFile(list, []byte("hub https://registry-1.docker.io\n"), 0o600))
	var stdout, stderr bytes.Buffer
	require.Zero(t, run([]string{"registry-mirror", "list", "--upstreams", list}, &stdout, &stderr), stderr.String())
	require.Equal(t, "hub https://registry-1.docker.io :5000 127.0.0.1:5001\n", stdout.String())
}

func TestErrors(t *testing.T) {
	for _, args := range [][]string{{"list", "--upstreams", "/nonexistent"}, {"serve", "--upstreams", "/nonexistent", "hub"}, {"serve"}, {"serve", "--unknown"}} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 1, run(append([]string{"registry-mirror"}, args...), &stdout, &stderr))
		require.NotEmpty(t, stderr.String())
	}
}

func TestServesUntilASignal(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	dir := t.TempDir()
	list := filepath.Join(dir, "upstreams")
	line := fmt.Sprintf("hub http://127.0.0.1:1 address=127.0.0.1 port=%d data=%s\n", port, dir)
	require.NoError(t, os.WriteFile(list, []byte(line), 0o600))
	ended := make(chan int)
	var stdout, stderr bytes.Buffer
	go func() {
		ended <- run([]string{"registry-mirror", "serve", "--upstreams", list, "hub"}, &stdout, &stderr)
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	require.Eventually(t, func() bool {
		response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/v2/", port))
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
	select {
	case code := <-ended:
		require.Zero(t, code, stderr.String())
	case <-time.After(30 * time.Second):
		t.Fatal("it doesn't end")
	}
}
