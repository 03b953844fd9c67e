package console

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTheLastBytesAreKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var tail Tail
		var all []byte
		for i := range rapid.IntRange(0, 12).Draw(t, "writes") {
			piece := make([]byte, rapid.IntRange(0, Size+Size/2).Draw(t, "size"))
			for at := range piece {
				piece[at] = byte(at + i*7)
			}
			n, err := tail.Write(piece)
			require.NoError(t, err)
			require.Equal(t, len(piece), n)
			all = append(all, piece...)
		}
		want := all[max(0, len(all)-Size):]
		if string(want) != string(tail.Bytes()) {
			t.Fatalf("of %d bytes not the last %d are kept", len(all), len(want))
		}
	})
}
