package deb_test

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
	"github.com/open-executor/executor/docker-images/debian/internal/deb/debtest"
)

func TestReadsAPackage(t *testing.T) {
	t.Parallel()
	for _, compression := range []string{"", ".gz", ".xz"} {
		file := debtest.Package{
			Name: "hello", Version: "1:2.10-3", Compression: &compression,
			ControlFiles: map[string]string{"postinst": "#!/bin/sh\n", "prerm": "#!/bin/sh\n", "md5sums": "0123  usr/bin/hello\n"},
			Data: []debtest.Entry{
				debtest.Dir("", 0o755), debtest.Dir("usr", 0o755), debtest.Dir("usr/bin", 0o755),
				debtest.File("usr/bin/hello", 0o4755, "hi"),
				debtest.Hardlink("usr/bin/hi", "usr/bin/hello"),
				debtest.Symlink("usr/bin/greet", "../../bin/hello"),
			},
		}.Bytes(t)
		p, err := deb.Read(file)
		require.NoError(t, err, compression)
		require.Equal(t, "1:2.10-3", p.Control.Get("version"))
		require.Equal(t, []string{"postinst"}, p.Scripts, "what runs on removal is nobody's business")
		require.Equal(t, "0123  usr/bin/hello\n", p.Sums)
		var entries []deb.Entry
		bodies := make(map[string]string)
		require.NoError(t, p.Walk(func(entry deb.Entry, body io.Reader) error {
			entries = append(entries, entry)
			text, err := io.ReadAll(body)
			bodies[entry.Name] = string(text)
			return err
		}))
		require.Equal(t, []deb.Entry{
			{Name: "usr", Kind: deb.Directory, Mode: 0o755},
			{Name: "usr/bin", Kind: deb.Directory, Mode: 0o755},
			{Name: "usr/bin/hello", Kind: deb.File, Mode: 0o4755, Size: 2},
			{Name: "usr/bin/hi", Kind: deb.Hardlink, Mode: 0o755, Target: "usr/bin/hello"},
			{Name: "usr/bin/greet", Kind: deb.Symlink, Mode: 0o777, Target: "../../bin/hello"},
		}, entries)
		require.Equal(t, "hi", bodies["usr/bin/hello"])
	}
}

// walkAll reads a package to its end.
func walkAll(file []byte) error {
	p, err := deb.Read(file)
	if err != nil {
		return err
	}
	return p.Walk(func(_ deb.Entry, body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
}

func TestRefusesHostileEntries(t *testing.T) {
	t.Parallel()
	entry := func(change func(*tar.Header)) debtest.Entry {
		e := debtest.File("usr/bin/tool", 0o755, "x")
		change(&e.Header)
		return e
	}
	named := func(name string) debtest.Entry { return entry(func(h *tar.Header) { h.Name = name }) }
	bare := func(flag byte, target string) debtest.Entry {
		return debtest.Entry{Header: tar.Header{Typeflag: flag, Name: "./usr/bin/tool", Linkname: target}}
	}
	link := func(target string) debtest.Entry { return bare(tar.TypeLink, target) }
	typed := func(flag byte) debtest.Entry { return bare(flag, "") }
	tests := map[string]struct {
		entry debtest.Entry
		want  string
	}{
		"absolute path":              {named("/etc/passwd"), "absolute paths are refused"},
		"path up and out":            {named("../etc/passwd"), "paths with empty parts"},
		"path up in the middle":      {named("./usr/../../etc/passwd"), "paths with empty parts"},
		"dot in the middle":          {named("./usr/./bin"), "paths with empty parts"},
		"doubled slash":              {named("./usr//bin"), "paths with empty parts"},
		"newline":                    {named("./usr/a\nb"), "control characters"},
		"broken UTF-8":               {named("./usr/a\xffb"), "broken UTF-8"},
		"overlong path":              {named("./" + strings.Repeat("a/", 600) + "b"), "longer than 1024 bytes"},
		"root that is a file":        {named("."), "the root is no directory"},
		"hard link out of the root":  {link("../../etc/shadow"), "its target"},
		"hard link to absolute path": {link("/etc/shadow"), "its target"},
		"character device":           {typed(tar.TypeChar), "type '3' is refused"},
		"block device":               {typed(tar.TypeBlock), "type '4' is refused"},
		"named pipe":                 {typed(tar.TypeFifo), "type '6' is refused"},
		"owner out of range":         {entry(func(h *tar.Header) { h.Uid = 70000 }), "owner 70000:0 is refused"},
		"capability": {entry(func(h *tar.Header) {
			h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"SCHILY.xattr.security.capability": "\x01"}
		}), "attribute SCHILY.xattr.security.capability is refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, walkAll(debtest.Package{Name: "p", Data: []debtest.Entry{test.entry}}.Bytes(t)), test.want)
		})
	}
}

func TestRefusesWhatUnpacksToTooMuch(t *testing.T) {
	t.Parallel()
	big := debtest.File("control", 0o644, "Package: p\nVersion: 1\nX-Long: "+strings.Repeat("a", 5<<20)+"\n")
	file := debtest.Archive(
		debtest.Member{Name: "debian-binary", Data: []byte("2.0\n")},
		debtest.Member{Name: "control.tar.gz", Data: debtest.Tar(t, ".gz", big)},
		debtest.Member{Name: "data.tar.gz", Data: debtest.Tar(t, ".gz")},
	)
	require.Less(t, len(file), 1<<20, "it is small on disk")
	require.ErrorContains(t, walkAll(file), "unpacks to more than 4194304 bytes")
}

// A sparse file of a terabyte takes a few bytes in the archive. Go's writer makes none, so its name for them is put in afterwards.
func TestRefusesSparseFiles(t *testing.T) {
	t.Parallel()
	sparse := debtest.File("usr/big", 0o644, "x")
	sparse.Format = tar.FormatPAX
	sparse.PAXRecords = map[string]string{"GNU.sparsX.map": "0,1", "GNU.sparsX.numblocks": "1", "GNU.sparsX.size": "1000000000000"}
	data := bytes.ReplaceAll(debtest.Tar(t, "", sparse), []byte("GNU.sparsX"), []byte("GNU.sparse"))
	file := debtest.Archive(
		debtest.Member{Name: "debian-binary", Data: []byte("2.0\n")},
		debtest.Member{Name: "control.tar", Data: debtest.Tar(t, "", debtest.File("control", 0o644, "Package: p\n"))},
		debtest.Member{Name: "data.tar", Data: data},
	)
	require.ErrorContains(t, walkAll(file), "attribute GNU.sparse.")
}

func TestRefusesDamagedFiles(t *testing.T) {
	t.Parallel()
	whole := debtest.Package{Name: "p", Data: []debtest.Entry{debtest.File("usr/bin/tool", 0o755, strings.Repeat("tool", 1000))}}.Bytes(t)
	require.NoError(t, walkAll(whole))
	version := debtest.Member{Name: "debian-binary", Data: []byte("2.0\n")}
	control := debtest.Member{Name: "control.tar.gz", Data: debtest.Tar(t, ".gz", debtest.File("control", 0o644, "Package: p\n"))}
	data := debtest.Member{Name: "data.tar.gz", Data: debtest.Tar(t, ".gz")}
	empty := debtest.Member{Name: "control.tar.gz", Data: debtest.Tar(t, ".gz")}
	tests := map[string]struct {
		file []byte
		want string
	}{
		"empty":                {nil, "no ar archive"},
		"no archive":           {[]byte("#!/bin/sh\n"), "no ar archive"},
		"header cut":           {whole[:40], "ends within the header of member 1"},
		"control cut":          {whole[:150], "it ends after"},
		"data cut":             {whole[:len(whole)-20], `member "data.tar.gz": it ends after`},
		"header without end":   {bytes.Replace(whole, []byte("`\n"), []byte("xx"), 1), "the header of member 1 is damaged"},
		"size that is no size": {bytes.Replace(whole, []byte("4         `\n"), []byte("-4        `\n"), 1), "is no number"},
		"no data":              {debtest.Archive(version, control), "its members are"},
		"order":                {debtest.Archive(version, data, control), "its members are"},
		"many members":         {debtest.Archive(make([]debtest.Member, 17)...), "more than 16 members"},
		"other format":         {debtest.Archive(debtest.Member{Name: "debian-binary", Data: []byte("3.0\n")}, control, data), `its format is "3.0"`},
		"no control file":      {debtest.Archive(version, empty, data), "it holds no control file"},
		"other compression": {debtest.Archive(version, control, debtest.Member{Name: "data.tar.zst"}),
			`compression ".zst" is not supported`},
		"data that is no archive": {debtest.Archive(version, control, debtest.Member{Name: "data.tar.xz", Data: []byte("x")}), "data.tar.xz"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, walkAll(test.file), test.want)
		})
	}
}

// A package that is cut anywhere, or has a byte changed, ends in an error or in its own contents, never in a crash.
func FuzzRead(f *testing.F) {
	whole := debtest.Package{Name: "p", Data: []debtest.Entry{debtest.Dir("usr", 0o755), debtest.File("usr/tool", 0o755, "tool")}}.Bytes(f)
	f.Add(whole)
	for cut := 0; cut < len(whole); cut += 50 {
		f.Add(whole[:cut])
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := deb.Read(file)
		if err != nil {
			return
		}
		_ = p.Walk(func(entry deb.Entry, body io.Reader) error {
			require.False(t, strings.HasPrefix(entry.Name, "/") || strings.HasPrefix(entry.Name, ".."), entry.Name)
			_, err := io.Copy(io.Discard, io.LimitReader(body, 1<<20))
			return err
		})
	})
}
