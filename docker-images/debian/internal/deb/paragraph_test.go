package deb_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
)

func TestParagraphsKeepTheirText(t *testing.T) {
	t.Parallel()
	const text = "Package: git\nVersion: 1:2.39.5-0+deb12u3\nConffiles:\n /etc/git 0123\nDescription: fast\n scalable\n .\n distributed\n"
	p, err := deb.ParseParagraph(text)
	require.NoError(t, err)
	require.Equal(t, text, p.String())
	require.Equal(t, "1:2.39.5-0+deb12u3", p.Get("Version"))
	require.Equal(t, "fast\n scalable\n .\n distributed", p.Get("description"))
	require.Empty(t, p.Get("Depends"))

	all, err := deb.ParseParagraphs("\n" + text + "\n\n" + text)
	require.NoError(t, err)
	require.Len(t, all, 2)
}

func TestParagraphsThatAreNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                           "no paragraph",
		" x\n":                       "line 1 continues a field",
		"Package: a\n\n x\n":         "line 3 continues a field",
		"Package: a\nfree text\n":    "line 2 is no field",
		"Package: a\nPackage: b\n":   "line 2: field Package stands there twice",
		": a\n":                      "line 1 is no field",
		"Package: a\n\nPackage: b\n": "2 paragraphs where one is expected",
	} {
		_, err := deb.ParseParagraph(text)
		require.ErrorContains(t, err, want, "%q", text)
	}
}
