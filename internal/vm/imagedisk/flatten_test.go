package imagedisk

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

func TestFlatten(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		layers [][]piece
		want   []string
	}{
		"nothing":                   {[][]piece{{}}, nil},
		"names are cleaned":         {[][]piece{{dir("./"), file("/a", "1"), file(".//b/./c", "2")}}, []string{"f a 1", "d b", "f b/c 2"}},
		"sorted by bytes":           {[][]piece{{file("b", ""), file("a.b", ""), file("a/x", ""), file("B", "")}}, []string{"f B ", "d a", "f a/x ", "f a.b ", "f b "}},
		"whiteout":                  {[][]piece{{file("d/a", "1"), file("d/b", "2")}, {file("d/.wh.a", "")}}, []string{"d d", "f d/b 2"}},
		"whiteout of a directory":   {[][]piece{{file("d/a", "1")}, {file(".wh.d", "")}}, nil},
		"whiteout of nothing":       {[][]piece{{file("a", "1")}, {file("x/y/.wh.b", "")}}, []string{"f a 1"}},
		"whiteout after its name":   {[][]piece{{file("d/a", "1")}, {dir("d"), file("d/b", "2"), file(".wh.d", "")}}, []string{"d d", "f d/b 2"}},
		"whiteout before its name":  {[][]piece{{file("d/a", "1")}, {file(".wh.d", ""), dir("d"), file("d/b", "2")}}, []string{"d d", "f d/b 2"}},
		"whiteout comes back":       {[][]piece{{file("a", "1")}, {file(".wh.a", "")}, {file("a", "2")}}, []string{"f a 2"}},
		"opaque":                    {[][]piece{{file("d/a", "1"), file("e", "")}, {file("d/b", "2"), file("d/.wh..wh..opq", "")}}, []string{"d d", "f d/b 2", "f e "}},
		"opaque keeps the owner":    {[][]piece{{{name: "d", typeflag: tar.TypeDir, mode: 0o700, uid: 5}, file("d/a", "")}, {file("d/.wh..wh..opq", "")}}, []string{"d d 5:0 700"}},
		"opaque root":               {[][]piece{{file("a", "1")}, {file(".wh..wh..opq", ""), file("b", "2")}}, []string{"f b 2"}},
		"marks of aufs":             {[][]piece{{file("a", "1"), file(".wh..wh.plnk/1.2", "x"), file(".wh..wh.aufs", "")}}, []string{"f a 1"}},
		"file replaces directory":   {[][]piece{{file("d/a", "1")}, {file("d", "2")}, {dir("d")}}, []string{"d d"}},
		"directory replaces file":   {[][]piece{{file("d", "1")}, {dir("d"), file("d/a", "2")}}, []string{"d d", "f d/a 2"}},
		"directory keeps content":   {[][]piece{{dir("d"), file("d/a", "1")}, {{name: "d", typeflag: tar.TypeDir, mode: 0o1777, gid: 3, mtime: 9}}}, []string{"d d 0:3 1777 @9", "f d/a 1"}},
		"symlink replaces dir":      {[][]piece{{file("lib/a", "1")}, {soft("lib", "usr/lib")}}, []string{"l lib -> usr/lib"}},
		"last of the same layer":    {[][]piece{{file("a", "1"), file("a", "2")}}, []string{"f a 2"}},
		"modes, owners and times":   {[][]piece{{{name: "su", mode: 0o104755, uid: 4000000000, gid: 3000000, mtime: 77}}}, []string{"f su  4000000000:3000000 4755 @77"}},
		"times out of range":        {[][]piece{{{name: "a", mode: 0o644, mtime: -5}, {name: "b", mode: 0o644, mtime: 1 << 40}}}, []string{"f a ", "f b  @4294967295"}},
		"xattrs":                    {[][]piece{{{name: "p", mode: 0o644, xattrs: map[string]string{"security.capability": "\x01\x00=\n", "user.a": "", "system.posix_acl_access": "x", "trusted.overlay.opaque": "y", "user.overlay.redirect": "/"}}}}, []string{`f p  security.capability="\x01\x00=\n" user.a=""`}[:1]},
		"fifo and devices":          {[][]piece{{{name: "f", typeflag: tar.TypeFifo}, {name: "n", typeflag: tar.TypeChar, major: 1, minor: 3}, {name: "s", typeflag: tar.TypeBlock, major: 8}}}, []string{"6 f 0:0", "3 n 1:3", "4 s 8:0"}},
		"hard links":                {[][]piece{{file("b", "1"), hard("a", "./b"), hard("d/c", "/b")}}, []string{"f a 1", "h b => a", "d d", "h d/c => a"}},
		"hard link to lower layer":  {[][]piece{{file("a", "1")}, {hard("b", "a")}}, []string{"f a 1", "h b => a"}},
		"its target deleted":        {[][]piece{{file("a", "1"), hard("b", "a"), hard("c", "a")}, {file(".wh.a", "")}}, []string{"f b 1", "h c => b"}},
		"its target replaced":       {[][]piece{{file("a", "1"), hard("b", "a")}, {file("a", "2")}}, []string{"f a 2", "f b 1"}},
		"its target whited out too": {[][]piece{{file("a", "1")}, {hard("b", "a"), file(".wh.a", "")}}, []string{"f b 1"}},
		"one to itself":             {[][]piece{{file("a", "1"), hard("a", "a")}}, []string{"f a 1"}},
		"one to a symlink":          {[][]piece{{soft("a", "x"), hard("b", "a")}}, []string{"l a -> x", "h b => a"}},
		"one through a symlink":     {[][]piece{{file("usr/lib/a", "1"), soft("lib", "usr/lib")}, {hard("b", "lib/a")}}, []string{"f b 1", "l lib -> usr/lib", "d usr", "d usr/lib", "h usr/lib/a => b"}},
		"lower symlink as parent":   {[][]piece{{file("usr/lib/a", "1"), soft("lib", "usr/lib")}, {file("lib/b", "2")}}, []string{"d lib", "f lib/b 2", "d usr", "d usr/lib", "f usr/lib/a 1"}},
		"own symlink as parent":     {[][]piece{{soft("lib", "usr/lib"), file("lib/b", "2")}}, []string{"l lib -> usr/lib", "d usr", "d usr/lib", "f usr/lib/b 2"}},
		"own symlink out":           {[][]piece{{soft("x", "../../../etc"), soft("y", "/x/../.."), file("x/a", "1"), file("y/b", "2")}}, []string{"f b 2", "d etc", "f etc/a 1", "l x -> ../../../etc", "l y -> /x/../.."}},
		"file as parent":            {[][]piece{{file("a", "1")}, {file("a/b", "2")}}, []string{"d a", "f a/b 2"}},
		"long names":                {[][]piece{{file(strings.Repeat("n", 255), "1")}}, []string{"f " + strings.Repeat("n", 255) + " 1"}},
		"not UTF-8":                 {[][]piece{{file("\xff\n", "1"), soft("s", "\xfe")}}, []string{"l s -> \xfe", "f \xff\n 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := flatPieces(t, test.layers...)
			require.NoError(t, err)
			require.Equal(t, test.want, show(t, got))
			again, err := flatPieces(t, test.layers...)
			require.NoError(t, err)
			require.Equal(t, got, again)
		})
	}
}

func TestHostileLayers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pieces []piece
		want   string
	}{
		"up":                  {[]piece{file("a/../../b", "")}, `layer 2 (sha256:0): "a/../../b": the name has a ".." in it`},
		"up only":             {[]piece{dir("..")}, `"..": the name has a ".." in it`},
		"link up":             {[]piece{hard("a", "../b")}, `as a hard link to "../b": the name has a ".." in it`},
		"whiteout up":         {[]piece{file("../.wh.a", "")}, `has a ".." in it`},
		"whiteout of .":       {[]piece{file("d/.wh..", "")}, `a whiteout of "."`},
		"whiteout of ..":      {[]piece{file("d/.wh...", "")}, `a whiteout of ".."`},
		"whiteout of nothing": {[]piece{file("d/.wh.", "")}, `a whiteout of ""`},
		"below a whiteout":    {[]piece{file("d/.wh.x/a", "")}, `lies in a directory whose name begins with ".wh."`},
		"root as file":        {[]piece{file("./.", "")}, `would take the place of the root directory`},
		"root as link":        {[]piece{file("a", ""), hard("/", "a")}, `would take the place of the root directory`},
		"link to nothing":     {[]piece{hard("a", "b")}, `"a": it is a hard link to "b", which is not there`},
		"link below nothing":  {[]piece{hard("a", "b/c/d")}, `it is a hard link to "b/c/d", which is not there`},
		"link to directory":   {[]piece{dir("d"), hard("a", "d")}, `it is a hard link to "d", which is a directory`},
		"link ahead":          {[]piece{hard("a", "b"), file("b", "")}, `which is not there`},
		"long part":           {[]piece{file(strings.Repeat("n", 256), "")}, `a part of the name measures 256 bytes, 255 are allowed`},
		"long name":           {[]piece{dir(strings.Repeat("n/", 2049))}, `the name measures 4098 bytes`},
		"symlink loop":        {[]piece{soft("a", "b"), soft("b", "a"), file("a/c", "")}, `more than 40 symlinks lead to it`},
		"endless symlink":     {[]piece{soft("a", "x/a/x"), file("a/c", "")}, ``},
		"deep by symlinks":    {[]piece{soft("a", strings.Repeat("d/", 1900)), soft(strings.Repeat("d/", 1900)+"b", strings.Repeat("e/", 1900)), file("a/b/c", "")}, `symlinks make its path longer than 4095 bytes`},
		"no target":           {[]piece{soft("a", "")}, `a symlink with a target of 0 bytes`},
		"long target":         {[]piece{soft("a", strings.Repeat("x", 5000))}, `a symlink with a target of 5000 bytes`},
		"owner":               {[]piece{{name: "a", uid: 1<<32 - 1}}, `owner 4294967295:0 is out of range`},
		"device":              {[]piece{{name: "a", typeflag: tar.TypeBlock, major: 8, minor: 256}}, `device 8:256 is out of range`},
		"type":                {[]piece{{name: "a", typeflag: 'Z'}}, `it is of the unknown type 'Z'`},
		"xattr":               {[]piece{{name: "a", xattrs: map[string]string{"user.x": strings.Repeat("v", 70000)}}}, `a value of 70000 bytes`},
		"xattr without name":  {[]piece{{name: "a", xattrs: map[string]string{"user.": ""}}}, `an xattr with a name of 5`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := flatPieces(t, []piece{file("below", "")}, test.pieces)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			require.Equal(t, fault.User, fault.ClassOf(err))
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	sparse := asLayer(archive(t, file("a", strings.Repeat("x", 4000))))
	for name, test := range map[string]struct {
		limits Limits
		layers []layer
		want   string
	}{
		"bytes":    {Limits{Bytes: 5000}, []layer{sparse}, "measure more than 5000 bytes uncompressed"},
		"files":    {Limits{Bytes: 3000}, []layer{sparse}, "its 4000 bytes make the image's files larger than 3000 bytes"},
		"bomb":     {Limits{Bytes: 1 << 20}, []layer{compressed(gzipped(t, make([]byte, 64<<20)))}, "measure more than 1048576 bytes"},
		"entries":  {Limits{Entries: 2}, []layer{asLayer(archive(t, file("a", ""), file("b", ""), file("c", "")))}, "more than 2 entries"},
		"parents":  {Limits{Entries: 4}, []layer{asLayer(archive(t, file("a/b/c/d/e", "")))}, "more than 4 entries"},
		"metadata": {Limits{Metadata: 100}, []layer{asLayer(archive(t, file(strings.Repeat("x", 90), "")))}, "names and xattrs measure more than 100 bytes"},
		"layers":   {Limits{Layers: 1}, []layer{sparse, sparse}, "2 layers, 1 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := flat(t.Context(), t.TempDir(), test.limits, test.layers...)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, fault.User, fault.ClassOf(err))
		})
	}
}

// compressed is a layer whose diff ID is never reached.
func compressed(raw []byte) layer {
	l := asLayer(raw)
	l.diffID = "sha256:unknown"
	return l
}

func TestCompressions(t *testing.T) {
	t.Parallel()
	plain := archive(t, file("a", strings.Repeat("content", 10000)))
	want, err := flat(t.Context(), t.TempDir(), Limits{}, asLayer(plain))
	require.NoError(t, err)
	for name, raw := range map[string][]byte{"gzip": gzipped(t, plain), "zstd": zstandard(t, plain)} {
		l := asLayer(raw)
		l.diffID = asLayer(plain).diffID
		got, err := flat(t.Context(), t.TempDir(), Limits{}, l)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)

		l.diffID = asLayer(raw).diffID
		_, err = flat(t.Context(), t.TempDir(), Limits{}, l)
		require.ErrorContains(t, err, "its content has the digest "+asLayer(plain).diffID, name)

		_, err = flat(t.Context(), t.TempDir(), Limits{}, compressed(raw[:len(raw)-9]))
		require.Error(t, err, name)
	}
}

// broken fails in the midst of reading.
type broken struct {
	io.Reader
	err error
}

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func (b *broken) Close() error { return nil }

func TestReadErrorsAreNotTheImages(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	l := asLayer(nil)
	l.open = func() (io.ReadCloser, error) {
		return &broken{strings.NewReader(string(archive(t, file("a", "1"))[:700])), lost}, nil
	}
	_, err := flat(t.Context(), t.TempDir(), Limits{}, l)
	var pull *pullError
	require.ErrorAs(t, err, &pull)
	require.ErrorIs(t, err, lost)
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))

	l.open = func() (io.ReadCloser, error) { return nil, lost }
	_, err = flat(t.Context(), t.TempDir(), Limits{}, l)
	require.ErrorAs(t, err, &pull)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(lost)
	_, err = flat(ctx, t.TempDir(), Limits{}, asLayer(archive(t)))
	require.ErrorIs(t, err, lost)
}
