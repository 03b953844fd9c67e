package docker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessage(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"": "",
		"docker: Error response from daemon: no such image.\nSee 'docker run --help'.\n":                   "no such image",
		"docker: Error response from daemon: a\n  b\n\nRun 'docker run --help' for more information\n":     "a b",
		"Error response from daemon: No such container: x\n":                                               "No such container: x",
		"Cannot connect to the Docker daemon at tcp://127.0.0.1:1. Is the docker daemon running?\n":        "Cannot connect to the Docker daemon at tcp://127.0.0.1:1. Is the docker daemon running?",
		"docker: invalid reference format: repository name must be lowercase.\nSee 'docker run --help'.\n": "invalid reference format: repository name must be lowercase",
	} {
		require.Equal(t, want, message(said))
	}
}

func TestHeardKeepsBeginningAndEnd(t *testing.T) {
	t.Parallel()
	var h heard
	write := func(text string) {
		n, err := h.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	write("Unable to find image 'a' locally\n")
	for range 5000 {
		write("layer: Pulling fs layer\n")
	}
	write(strings.Repeat("x", 3*tailBytes) + "\ndock")
	said, _ := h.refusal()
	require.Empty(t, said)
	write("er: Error response from daemon: toomanyrequests: slow down.\n")
	said, pulling := h.refusal()
	require.Equal(t, "toomanyrequests: slow down", said)
	require.True(t, pulling)
	require.Len(t, h.head, headBytes)
	require.Len(t, h.tail, tailBytes)
	require.False(t, h.initFailure())
	write("[FATAL tini (7)] exec /bin/sh failed: No such file or directory\n")
	require.True(t, h.initFailure())
}

func TestBoundedKeepsTheFirstBytes(t *testing.T) {
	t.Parallel()
	var b bounded
	chunk := []byte(strings.Repeat("x", outputLimit/2+1))
	for range 3 {
		n, err := b.Write(chunk)
		require.NoError(t, err)
		require.Equal(t, len(chunk), n)
	}
	require.Len(t, b.String(), outputLimit)
}
