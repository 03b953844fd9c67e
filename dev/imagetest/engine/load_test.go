package engine

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The id of an image is the digest of its configuration, here of "{}".
const (
	configName   = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	ownName      = "open-executor.invalid/imagetest:run1"
	manifestText = `[{"Config":"blobs/sha256/` + configName + `","RepoTags":["executor:candidate"],"Layers":["l.tar.gz"],"More":{"a":1}}]`
)

var configEntry = regular("blobs/sha256/"+configName, "{}")

func tarball(t *testing.T, entries ...tar.Header) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(path, archiveOf(t, entries...), 0o600))
	return path
}

// The names in an archive may stand for other images already: the image gets a name of its own, and only that is removed.
func TestLoadedImagesGetANameOfTheirOwn(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]tar.Header{
		"manifest last": {configEntry, regular("l.tar.gz", "layer"), regular("manifest.json", manifestText)},
		"docker save": {
			regular("manifest.json", manifestText), regular("repositories", `{"executor":{"candidate":"1"}}`), regular("index.json", `{}`),
			regular("oci-layout", `{}`), regular("l.tar.gz", "layer"), configEntry,
		},
		"old": {regular("./manifest.json", strings.Replace(manifestText, "blobs/sha256/"+configName, configName+".json", 1)), regular(configName+".json", "{}"), regular("l.tar.gz", "layer")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &daemon{loadAnswer: `{"stream":"Loaded image: x\n"}` + "\n"}
			e := start(t, d)
			image, err := e.Load(t.Context(), tarball(t, entries...))
			require.NoError(t, err)
			require.Equal(t, ownName, image)
			require.Len(t, d.loaded, 3)
			require.Equal(t, "layer", d.loaded["l.tar.gz"])
			sent := d.loaded["manifest.json"] + d.loaded["./manifest.json"]
			require.Contains(t, sent, `"RepoTags":["`+ownName+`"]`)
			require.Contains(t, sent, `"Layers":["l.tar.gz"]`)
			require.Contains(t, sent, `"More":{"a":1}`)
			require.NotContains(t, sent, "executor:candidate")
			require.NoError(t, e.Close())
			require.Equal(t, []string{"POST /images/load", "DELETE /images/" + ownName}, d.requests)
		})
	}
}

func TestImagesThatAreThereAreNotLoadedAgain(t *testing.T) {
	t.Parallel()
	d := &daemon{images: map[string]string{"sha256:" + configName: "{}"}}
	e := start(t, d)
	image, err := e.Load(t.Context(), tarball(t, regular("manifest.json", manifestText), configEntry))
	require.NoError(t, err)
	require.Equal(t, "sha256:"+configName, image)
	require.NoError(t, e.Close())
	require.Empty(t, d.requests, "neither loaded nor removed")
}

// What a configuration is called proves nothing: this one would pass for an image that is there.
func TestIdsComeFromWhatIsInTheArchive(t *testing.T) {
	t.Parallel()
	d := &daemon{images: map[string]string{"sha256:" + configName: "{}"}}
	e := start(t, d)
	image, err := e.Load(t.Context(), tarball(t, regular("manifest.json", manifestText), regular("blobs/sha256/"+configName, `{"os":"linux"}`)))
	require.NoError(t, err)
	require.Equal(t, ownName, image)
	require.NoError(t, e.Close())
}

func TestArchivesThatAreNone(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "x.tar")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none"):                                       "no such file",
		file(""):                                                                 "there is no manifest.json in it",
		file("text"):                                                             "no archive of an image: ",
		tarball(t, regular("l.tar.gz", "layer")):                                 "there is no manifest.json in it",
		tarball(t, regular("manifest.json", "{")):                                "manifest.json: ",
		tarball(t, regular("manifest.json", "[]")):                               "there are 0 images in the archive instead of one",
		tarball(t, regular("manifest.json", "[{},{}]")):                          "there are 2 images in the archive instead of one",
		tarball(t, regular("manifest.json", "[null]")):                           "instead of one",
		tarball(t, regular("manifest.json", "[{}]")):                             "there is no  in it",
		tarball(t, regular("manifest.json", manifestText)):                       "there is no blobs/sha256/" + configName + " in it",
		tarball(t, regular("manifest.json", strings.Repeat(" ", maxDocument+1))): "more than 4194304",
	} {
		d := &daemon{}
		e := start(t, d)
		_, err := e.Load(t.Context(), path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
		require.NoError(t, e.Close())
		require.Empty(t, d.requests)
	}
}

func TestLoadingThatFails(t *testing.T) {
	t.Parallel()
	entries := []tar.Header{regular("manifest.json", manifestText), configEntry, regular("l.tar.gz", strings.Repeat("layer", 1<<16))}
	whole := archiveOf(t, entries...)
	torn := filepath.Join(t.TempDir(), "torn.tar")
	require.NoError(t, os.WriteFile(torn, whole[:len(whole)/2], 0o600))
	for name, c := range map[string]struct {
		daemon *daemon
		file   string
		want   string
	}{
		"refused":        {&daemon{refuse: map[string]string{"/load": "no space"}}, tarball(t, entries...), "Error response from daemon: no space"},
		"fails later on": {&daemon{loadAnswer: `{"stream":"x"}{"error":"bad layer"}`}, tarball(t, entries...), "bad layer"},
		"strange answer": {&daemon{loadAnswer: `<html>`}, tarball(t, entries...), "reading the engine's answer"},
		"torn":           {&daemon{}, torn, "unexpected EOF"},
		"looking for it": {&daemon{refuse: map[string]string{"GET /images": "broken"}}, tarball(t, entries...), "looking for image sha256:" + configName},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, c.daemon)
			_, err := e.Load(t.Context(), c.file)
			require.ErrorContains(t, err, c.want)
			require.NoError(t, e.Close())
		})
	}
}

func TestLoadingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	d := &daemon{}
	e := start(t, d)
	stopped := errors.New("stopped by hand")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	archive := tarball(t, regular("manifest.json", manifestText), configEntry, regular("l.tar.gz", strings.Repeat("layer", 1<<16)))
	_, err := e.Load(ctx, archive)
	require.Error(t, err)
	require.Empty(t, d.loaded)
	require.NoError(t, e.Close())
}
