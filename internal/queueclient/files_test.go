package queueclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	frontend, client, _, leased := leasedJob(t)
	job := client.ForJob(leased)
	content := strings.Repeat("\x00\xffbinary", 1<<18)
	frontend.ServeFile("batch-changes", "spec/a b.bin", []byte(content))

	exists, err := job.FileExists(t.Context(), "batch-changes", "spec/a b.bin")
	require.NoError(t, err)
	require.True(t, exists)
	file, err := job.OpenFile(t.Context(), "batch-changes", "spec/a b.bin")
	require.NoError(t, err)
	require.NoError(t, iotest.TestReader(file, []byte(content)))
	require.NoError(t, file.Close())

	exists, err = job.FileExists(t.Context(), "batch-changes", "spec/missing")
	require.NoError(t, err)
	require.False(t, exists)
	_, err = job.OpenFile(t.Context(), "batch-changes", "spec/missing")
	require.ErrorContains(t, err, "file batch-changes/spec/missing: unexpected status code 404: workspace file does not exist")
	require.NotErrorIs(t, err, ErrLeaseLost)
	require.Equal(t, fault.User, fault.ClassOf(err))
}

func TestUnusableFileAnswers(t *testing.T) {
	t.Parallel()
	noContent := answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }).ForJob(api.Job{ID: 1})
	_, err := noContent.OpenFile(t.Context(), "b", "k")
	require.ErrorContains(t, err, "file b/k: unexpected status code 204")
	_, err = noContent.FileExists(t.Context(), "b", "k")
	require.ErrorContains(t, err, "file b/k: unexpected status code 204")

	broken := answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }).ForJob(api.Job{ID: 1})
	_, err = broken.FileExists(t.Context(), "b", "k")
	require.ErrorContains(t, err, "file b/k: unexpected status code 502")
}

func TestFileThatIsCutShort(t *testing.T) {
	t.Parallel()
	client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
	})
	file, err := client.ForJob(api.Job{ID: 1}).OpenFile(t.Context(), "b", "k")
	require.NoError(t, err)
	defer file.Close()
	_, err = io.ReadAll(file)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorContains(t, err, "file b/k: ")
}

func TestFileEndsWithItsContext(t *testing.T) {
	t.Parallel()
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("beginning"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	file, err := client.ForJob(api.Job{ID: 1}).OpenFile(ctx, "b", "k")
	require.NoError(t, err)
	defer file.Close()
	_, err = io.ReadFull(file, make([]byte, len("beginning")))
	require.NoError(t, err)
	canceled := errors.New("job canceled")
	cancel(canceled)
	_, err = io.ReadAll(file)
	require.ErrorIs(t, err, canceled)
}

func TestFileStreamIsBoundedInTimeAndLength(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		reader, writer := io.Pipe()
		context.AfterFunc(ctx, func() { _ = reader.CloseWithError(errors.New("connection closed")) })
		stream := &fileStream{
			ctx: ctx, cancel: cancel, what: "file b/k",
			timer: time.AfterFunc(fileStallTimeout, func() { cancel(errors.New("nothing came")) }),
			body:  http.MaxBytesReader(nil, reader, 6),
		}
		stream.timer.Stop()
		go func() {
			<-time.After(fileStallTimeout - time.Second)
			_, _ = writer.Write([]byte("abc"))
		}()
		buffer := make([]byte, 16)
		n, err := stream.Read(buffer)
		require.NoError(t, err)
		require.Equal(t, 3, n)

		// However long the reader takes between two reads, only waiting for the frontend counts.
		<-time.After(2 * fileStallTimeout)
		started := time.Now()
		_, err = stream.Read(buffer)
		require.ErrorContains(t, err, "file b/k: nothing came")
		require.Equal(t, fileStallTimeout, time.Since(started))
		require.NoError(t, stream.Close())
	})

	endless := &fileStream{
		ctx: t.Context(), cancel: func(error) {}, what: "file b/k", timer: time.AfterFunc(time.Hour, func() {}),
		body: http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("1234567")), 6),
	}
	read, err := io.ReadAll(endless)
	require.Equal(t, "123456", string(read))
	require.ErrorContains(t, err, "file b/k: it is longer than 6 bytes")
	require.NoError(t, endless.Close())
}
