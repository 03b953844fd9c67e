package command

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A slow log must not cost the end of the output when the deadline for leftovers passes meanwhile.
func TestCopyOutputTakesWhatStandsInThePipeAfterTheDeadline(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	defer write.Close()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 2048)
	_, err = write.Write(sent)
	require.NoError(t, err)
	require.NoError(t, read.SetReadDeadline(time.Unix(1, 0)))

	var got bytes.Buffer
	copyOutput(&got, read)
	require.True(t, bytes.Equal(sent, got.Bytes()), "%d of %d bytes", got.Len(), len(sent))
}
