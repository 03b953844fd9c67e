package shelf

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type shelfTest struct {
	*Shelf
	t   *testing.T
	now time.Time
}

func open(t *testing.T) *shelfTest {
	t.Helper()
	s := &shelfTest{t: t, now: time.Now()}
	var err error
	s.Shelf, err = Open(filepath.Join(t.TempDir(), "data"), func() time.Time { return s.now })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func (s *shelfTest) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(s.t, os.WriteFile(path, []byte(content), 0o600))
}

// put stores content as the distribution does, used now.
func (s *shelfTest) put(repository, content string) digest.Digest {
	s.t.Helper()
	d := digest.FromString(content)
	s.write(data(d), content)
	s.write(repositories+"/"+repository+"/_layers/sha256/"+d.Encoded()+"/link", d.String())
	require.NoError(s.t, s.Use(d))
	return d
}

func (s *shelfTest) evicted(limits Limits) Evicted {
	s.t.Helper()
	result, err := s.Evict(s.t.Context(), limits)
	require.NoError(s.t, err)
	return result
}

func TestVerify(t *testing.T) {
	t.Parallel()
	s := open(t)
	d := s.put("a", "content")
	require.True(t, s.Has("a", d))
	require.False(t, s.Has("b", d), "another repository has no link to it")
	require.False(t, s.Proven(d))
	verify := func(want bool) {
		t.Helper()
		whole, err := s.Verify(t.Context(), d)
		require.NoError(t, err)
		require.Equal(t, want, whole)
		require.Equal(t, want, s.Proven(d))
	}
	verify(true)
	require.NoError(t, s.Use(d))
	require.True(t, s.Proven(d), "use is no change")
	s.now = s.now.Add(verifyAgain)
	require.False(t, s.Proven(d), "a disk can lose bits")
	verify(true)
	s.write(data(d), "cOntent")
	verify(false)
	require.NoError(t, s.Drop(d))
	require.NoError(t, s.Drop(d), "what is gone is gone")
	verify(false)

	d = s.put("a", "content")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Verify(ended, d)
	require.ErrorIs(t, err, context.Canceled)
}

func TestLeastRecentlyUsedGoFirst(t *testing.T) {
	t.Parallel()
	s := open(t)
	var all []digest.Digest
	for _, content := range []string{"0000000000", "1111111111", "2222222222", "3333333333"} {
		all = append(all, s.put("a", content))
		s.now = s.now.Add(time.Hour)
	}
	require.NoError(t, s.Use(all[0]))
	s.now = s.now.Add(time.Hour)
	limits := Limits{High: Mark{Bytes: 30}, Low: Mark{Bytes: 25}}
	result := s.evicted(limits)
	require.Equal(t, int64(2), result.Blobs[Watermark])
	require.Equal(t, int64(20), result.Bytes[Watermark])
	require.Equal(t, int64(20), result.Kept)
	require.False(t, result.Short)
	for i, there := range []bool{true, false, false, true} {
		require.Equal(t, there, s.Has("a", all[i]), i)
	}
	require.Empty(t, s.evicted(limits).Blobs, "below the high mark nothing goes")
	leftovers, err := os.ReadDir(filepath.Join(s.dir, trash))
	require.NoError(t, err)
	require.Empty(t, leftovers)
}

func TestWhatIsInUseStays(t *testing.T) {
	t.Parallel()
	s := open(t)
	held := s.put("a", "held")
	s.now = s.now.Add(time.Hour)
	fresh := s.put("a", "fresh")
	release := s.Hold(held)
	second := s.Hold(held)
	limits := Limits{MaxAge: time.Minute, High: Mark{Bytes: 1}, Low: Mark{Bytes: 1}}
	result := s.evicted(limits)
	require.Empty(t, result.Blobs)
	require.True(t, result.Short)
	second()
	require.Empty(t, s.evicted(limits).Blobs, "one of two still reads it")
	release()
	require.Equal(t, int64(1), s.evicted(limits).Blobs[Age])
	require.True(t, s.Has("a", fresh), "used a moment ago")
	s.now = s.now.Add(justUsed)
	require.Equal(t, int64(1), s.evicted(Limits{High: Mark{Bytes: 1}, Low: Mark{Bytes: 1}}).Blobs[Watermark])
}

func TestManifestsGoByAgeOnly(t *testing.T) {
	t.Parallel()
	s := open(t)
	manifest := s.put("a", "manifest")
	dir := repositories + "/a/_manifests/"
	s.write(dir+"revisions/sha256/"+manifest.Encoded()+"/link", manifest.String())
	s.write(dir+"tags/v1/current/link", manifest.String())
	s.write(dir+"tags/v1/index/sha256/"+manifest.Encoded()+"/link", manifest.String())
	s.write(dir+"tags/broken/current/link", "no digest")
	s.now = s.now.Add(2 * time.Hour)
	result := s.evicted(Limits{High: Mark{Bytes: 1}, Low: Mark{Bytes: 1}})
	require.Empty(t, result.Blobs)
	require.True(t, result.Short)
	require.DirExists(t, filepath.Join(s.dir, dir+"tags/v1"))
	require.NoDirExists(t, filepath.Join(s.dir, dir+"tags/broken"))

	require.Equal(t, int64(1), s.evicted(Limits{MaxAge: time.Hour}).Blobs[Age])
	require.NoDirExists(t, filepath.Join(s.dir, dir+"tags/v1"), "a tag of nothing")
	require.NoDirExists(t, filepath.Join(s.dir, dir+"revisions/sha256", manifest.Encoded()))
	require.NoDirExists(t, filepath.Join(s.dir, repositories+"/a/_layers/sha256", manifest.Encoded()))
}

func TestATagThatIsBeingFetchedStays(t *testing.T) {
	t.Parallel()
	s := open(t)
	tag := repositories + "/a/_manifests/tags/v1"
	s.write(tag+"/current/link", digest.FromString("to come").String())
	s.evicted(Limits{})
	require.DirExists(t, filepath.Join(s.dir, tag))
}

func TestPercent(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.put("a", "0123456789")
	s.now = s.now.Add(time.Hour)
	used := int64(80)
	limits := Limits{High: Mark{Percent: 80}, Low: Mark{Percent: 50}, Disk: func() (Disk, error) { return Disk{used, 100 - used}, nil }}
	require.Empty(t, s.evicted(limits).Blobs, "at the mark is not above it")
	used = 81
	result := s.evicted(limits)
	require.Equal(t, int64(1), result.Blobs[Watermark])
	require.True(t, result.Short, "others fill the disk")

	broken := errors.New("no disk")
	limits.Disk = func() (Disk, error) { return Disk{}, broken }
	_, err := s.Evict(t.Context(), limits)
	require.ErrorIs(t, err, broken)

	disk, err := s.Measure()
	require.NoError(t, err)
	require.Positive(t, disk.Used)
	require.Positive(t, disk.Free)
}

func TestOpenTidies(t *testing.T) {
	t.Parallel()
	s := open(t)
	kept := s.put("deep/er", "kept")
	s.write(trash+"/old/data", "half removed")
	s.write(repositories+"/deep/er/_uploads/1/data", "half fetched")
	require.NoError(t, s.Writable())
	require.NoError(t, s.Close())
	again, err := Open(s.dir, nil)
	require.NoError(t, err)
	s.Shelf = again
	require.NoDirExists(t, filepath.Join(s.dir, trash, "old"))
	require.NoDirExists(t, filepath.Join(s.dir, repositories, "deep/er/_uploads"))
	require.True(t, again.Has("deep/er", kept))
}
