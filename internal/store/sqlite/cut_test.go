package sqlite

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestCut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		data  string
		limit int
		want  int
	}{
		{"", 5, 0}, {"abc", 5, 3}, {"abc", 3, 3}, {"abc", 2, 2}, {"abc", 0, 0},
		{"aß", 2, 1}, {"€", 1, 0}, {"€", 2, 0}, {"€", 3, 3}, {"a😀b", 4, 1}, {"a😀b", 5, 5},
		{"\x80\x80\x80\x80\x80", 3, 3}, {"\xff\xff", 1, 1}, {"\xe2\x82", 1, 1},
	} {
		require.Equal(t, test.want, cut([]byte(test.data), test.limit), "%q %d", test.data, test.limit)
	}
}

func FuzzCut(f *testing.F) {
	f.Add([]byte("aß€😀"), 3)
	f.Add([]byte("\xf0\x9f\x98"), 2)
	f.Fuzz(func(t *testing.T, data []byte, limit int) {
		if limit < 0 {
			return
		}
		size := cut(data, limit)
		require.LessOrEqual(t, size, limit)
		require.GreaterOrEqual(t, size, min(len(data), limit)-utf8.UTFMax+1)
		if utf8.Valid(data) {
			require.True(t, utf8.Valid(data[:size]))
		}
	})
}
