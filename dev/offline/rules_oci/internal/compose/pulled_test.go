package compose

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

func topDigest(t *testing.T, l *ocidir.Layout) string {
	t.Helper()
	top, err := l.Top()
	require.NoError(t, err)
	return top.Digest.String()
}

func TestPulledImages(t *testing.T) {
	t.Parallel()
	amd64, arm64 := realLayout(t, "full"), realLayout(t, "on_plain")
	index := written(t, Index{Images: []*ocidir.Layout{amd64, arm64}})
	for name, c := range map[string]struct {
		pulled Pulled
		want   *ocidir.Layout
	}{
		"of an index":              {Pulled{index, topDigest(t, index), "linux/amd64"}, amd64},
		"with a variant":           {Pulled{index, topDigest(t, index), "linux/arm64/v8"}, arm64},
		"nothing pinned":           {Pulled{index, "", "linux/amd64"}, amd64},
		"one image":                {Pulled{amd64, topDigest(t, amd64), ""}, amd64},
		"one image of a platform":  {Pulled{amd64, topDigest(t, amd64), "linux/amd64"}, amd64},
		"arm64 is v8 where unsaid": {Pulled{arm64, topDigest(t, arm64), "linux/arm64"}, arm64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := written(t, c.pulled)
			require.Equal(t, topDigest(t, c.want), topDigest(t, l))
			top, err := l.Top()
			require.NoError(t, err)
			manifest, _, err := l.Image(top)
			require.NoError(t, err)
			for _, d := range append(manifest.Layers, manifest.Config) {
				readAll(t, l, d)
			}
		})
	}
}

func TestPulledImagesThatAreRefused(t *testing.T) {
	t.Parallel()
	amd64, arm64 := realLayout(t, "full"), realLayout(t, "on_plain")
	index := written(t, Index{Images: []*ocidir.Layout{amd64, arm64}})
	other := "sha256:" + strings.Repeat("a", 64)
	for name, c := range map[string]struct {
		pulled Pulled
		want   []string
	}{
		"another digest":              {Pulled{index, other, "linux/amd64"}, []string{"holds " + topDigest(t, index), "pins " + other}},
		"an image of the index only":  {Pulled{amd64, topDigest(t, index), "linux/amd64"}, []string{"holds " + topDigest(t, amd64)}},
		"a platform that isn't there": {Pulled{index, topDigest(t, index), "linux/s390x"}, []string{"linux/amd64, linux/arm64/v8", `"linux/s390x"`}},
		"an index and no platform":    {Pulled{index, topDigest(t, index), ""}, []string{"index of images"}},
		"one image of another":        {Pulled{amd64, topDigest(t, amd64), "linux/arm64"}, []string{"is for linux/amd64", `"linux/arm64"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := refused(t, c.pulled)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}
