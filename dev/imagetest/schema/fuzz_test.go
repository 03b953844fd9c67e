package schema

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var placed = regexp.MustCompile(`^x\.yaml(:\d+:\d+)?: `)

// Whatever stands in a file, it is read, or refused with a place and a sentence.
func FuzzParse(f *testing.F) {
	f.Add(everything)
	f.Add(head + "commandTests: &a [*a]\n")
	f.Add(head + "commandTests:\n- &a {name: *a}\n")
	f.Add(head + "? [a]\n: b\n")
	f.Add(head + "metadataTest: {cmd: !!set {a}, entrypoint: !x y}\n")
	f.Add("%YAML 9.9\n---\n\xff\x00")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse("x.yaml", []byte(text))
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if strings.HasPrefix(line, "x.yaml") {
					require.Regexp(t, placed, line)
				}
			}
			return
		}
		require.Positive(t, got.Tests())
	})
}
