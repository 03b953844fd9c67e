package main

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// mustRun runs a command that succeeds and returns what it printed.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), args, &out), args)
	return out.String()
}

// imageAt makes an image of one layer and returns its layout and its digest.
func imageAt(t *testing.T, more ...string) (dir, digest string) {
	t.Helper()
	dir = t.TempDir()
	digestFile := filepath.Join(t.TempDir(), "digest")
	layer, description := file(t, "layer"), filepath.Join(t.TempDir(), "description")
	mustRun(t, "describe", "--target=//:layer", "--layer="+layer, "--out="+description)
	mustRun(t, append([]string{"image", "--target=//:image", "--out=" + dir, "--digest=" + digestFile,
		"--layer=" + layer, "--layer-from=//:layer", "--layer-description=" + description}, more...)...)
	text, err := os.ReadFile(digestFile)
	require.NoError(t, err)
	return dir, strings.TrimSuffix(string(text), "\n")
}

func configOf(t *testing.T, dir string) string {
	t.Helper()
	l, err := ocidir.Open(dir)
	require.NoError(t, err)
	top, err := l.Top()
	require.NoError(t, err)
	manifest, _, err := l.Image(top)
	require.NoError(t, err)
	text, err := l.Document(manifest.Config)
	require.NoError(t, err)
	return string(text)
}

func TestTextsAndFilesOfTextMakeTheSame(t *testing.T) {
	t.Parallel()
	const platform = "--os=linux,--architecture=amd64"
	_, fromText := imageAt(t, append(strings.Split(platform, ","), "--text=env:A=b:c\nD=e", "--text=labels:x=y")...)
	dir, fromFile := imageAt(t, append(strings.Split(platform, ","), "--text-file=env:"+file(t, "A=b:c\nD=e"), "--text-file=labels:"+file(t, "x=y"))...)
	require.Equal(t, fromText, fromFile)
	require.Contains(t, configOf(t, dir), `"A=b:c"`)
}

func TestFromNothingToTheArchive(t *testing.T) {
	t.Parallel()
	base, _ := imageAt(t, "--os=linux", "--architecture=amd64", "--user=1000", "--workdir=/srv")
	child, digest := imageAt(t, "--base="+base, "--text=entrypoint:/program")
	config := configOf(t, child)
	for _, part := range []string{`"User": "1000"`, `"WorkingDir": "/srv"`, `"/program"`, `"architecture": "amd64"`} {
		require.Contains(t, config, part)
	}
	pulled := t.TempDir()
	mustRun(t, "pulled", "--target=//:pulled", "--out="+pulled, "--layout="+child, "--pinned="+digest, "--platform=linux/amd64")
	require.Equal(t, config, configOf(t, pulled))

	tags := file(t, "executor:candidate\n")
	archive := filepath.Join(t.TempDir(), "image.tar")
	require.Empty(t, mustRun(t, "tarball", "--target=//:load", "--layout="+pulled, "--tags-file="+tags, "--out="+archive))
	written, err := os.ReadFile(archive)
	require.NoError(t, err)
	require.Equal(t, string(written), mustRun(t, "tarball", "--target=//:load", "--layout="+pulled, "--tags-file="+tags), "or on the standard output")
	header, err := tar.NewReader(bytes.NewReader(written)).Next()
	require.NoError(t, err)
	require.Contains(t, header.Name, "blobs/sha256/")
}

func TestIndexesAndPushing(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	amd64, _ := imageAt(t, "--os=linux", "--architecture=amd64")
	arm64, _ := imageAt(t, "--os=linux", "--architecture=arm64")
	index, digestFile := t.TempDir(), filepath.Join(t.TempDir(), "digest")
	mustRun(t, "index", "--target=//:index", "--out="+index, "--digest="+digestFile, "--image="+amd64, "--image="+arm64, "--text=annotations:a=b")
	digest, err := os.ReadFile(digestFile)
	require.NoError(t, err)

	at := host + "/some/executor"
	out := mustRun(t, "push", "--target=//:push", "--layout="+index, "--tags-file="+file(t, "v1 v1.2\n"), "--repository-file="+file(t, at+"\n"),
		"-t", "extra", "--tag=more")
	require.Equal(t, []string{at + "@" + strings.TrimSpace(string(digest)), at + ":extra", at + ":more", at + ":v1", at + ":v1.2"}, strings.Fields(out))

	// What the user says comes after what the target says, and wins.
	out = mustRun(t, "push", "--target=//:push", "--layout="+index, "--repository=example.com/never", "-r", host+"/other")
	require.Contains(t, out, host+"/other@sha256:")
}

func TestErrorsNameTheTarget(t *testing.T) {
	t.Parallel()
	image, _ := imageAt(t, "--os=linux", "--architecture=amd64")
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"layer": {[]string{"image", "--os=linux", "--architecture=amd64", "--layer=" + nowhere, "--layer-from=//:layer",
			"--layer-description=" + file(t, `{"digest":"sha256:`+strings.Repeat("a", 64)+`"}`)}, "layer //:layer: "},
		"no description":   {[]string{"image", "--layer=x", "--layer-from=//:layer", "--layer-description=" + nowhere}, "layer //:layer: open "},
		"bad description":  {[]string{"image", "--layer=x", "--layer-from=//:layer", "--layer-description=" + file(t, `{"digest":"x"}`)}, "is no description of a layer"},
		"layers":           {[]string{"image", "--layer=x"}, "1 layers of 0 labels"},
		"undescribed":      {[]string{"image", "--layer=x", "--layer-from=//:layer"}, "1 layers of 1 labels with 0 descriptions"},
		"describe":         {[]string{"describe", "--layer=" + nowhere}, "open "},
		"base":             {[]string{"image", "--base=" + nowhere}, "base: "},
		"attribute":        {[]string{"image", "--os=linux", "--architecture=amd64", "--text=env:A"}, `env: the line "A"`},
		"file":             {[]string{"image", "--text-file=env:" + nowhere}, "env: open "},
		"big file":         {[]string{"image", "--text-file=env:" + file(t, strings.Repeat("x", maxText+1))}, "more than 1048576 bytes"},
		"no attribute":     {[]string{"image", "--text=onbuild:x"}, `no attribute "onbuild"`},
		"flag":             {[]string{"image", "--squash"}, "flag provided but not defined: -squash"},
		"word":             {[]string{"image", "word"}, `"word" is no flag`},
		"images":           {[]string{"index", "--image=" + nowhere}, "images: "},
		"nothing pulled":   {[]string{"pulled", "--missing=debian can't be pulled offline"}, "debian can't be pulled offline"},
		"pulled":           {[]string{"pulled", "--layout=" + image, "--pinned=sha256:0"}, "pins sha256:0"},
		"tags of archive":  {[]string{"tarball", "--layout=" + image, "--tags-file=" + file(t, "UPPER")}, "repo_tags: "},
		"layout":           {[]string{"tarball", "--layout=" + nowhere}, "is no OCI image layout"},
		"no tags file":     {[]string{"tarball", "--layout=" + image, "--tags-file=" + nowhere}, "repo_tags: "},
		"push flag":        {[]string{"push", "--layout=" + image, "--platform=linux/amd64"}, "it takes -r or --repository"},
		"push without":     {[]string{"push", "--layout=" + image}, "repository is not set"},
		"repository file":  {[]string{"push", "--layout=" + image, "--repository-file=" + nowhere}, "repository_file: "},
		"remote tags file": {[]string{"push", "--layout=" + image, "--tags-file=" + nowhere}, "remote_tags: "},
		"layout to push":   {[]string{"push", "--layout=" + nowhere, "--repository=example.com/x"}, "is no OCI image layout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{c.args[0], "--target=//some:target"}, c.args[1:]...)
			if c.args[0] != "push" && c.args[0] != "tarball" {
				args = append(args[:2:2], append([]string{"--out=" + t.TempDir()}, args[2:]...)...)
			}
			err := run(t.Context(), args, &bytes.Buffer{})
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "//some:target: ")
		})
	}
	require.ErrorContains(t, run(t.Context(), nil, nil), "no command")
	require.ErrorContains(t, run(t.Context(), []string{"squash"}, nil), `no command "squash"`)
}
