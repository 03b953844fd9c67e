package imagedisk

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model is an image as plainly as possible: paths, and what is there. Names of one file share a pointer.
type model map[string]*piece

func (m model) removeBelow(dir string) {
	maps.DeleteFunc(m, func(p string, _ *piece) bool { return strings.HasPrefix(p, dir+"/") })
}

func (m model) set(p string, to *piece) {
	var parents []string
	for parent := path.Dir(p); parent != "."; parent = path.Dir(parent) {
		parents = append(parents, parent)
	}
	for _, parent := range slices.Backward(parents) {
		if old := m[parent]; old == nil || old.typeflag != tar.TypeDir {
			m.removeBelow(parent)
			made := dir(parent)
			m[parent] = &made
		}
	}
	if to.typeflag != tar.TypeDir {
		m.removeBelow(p)
	}
	m[p] = to
}

// apply lays a layer on the model; it drops the links that would be refused and returns the rest.
func (m model) apply(layer []piece) []piece {
	for _, p := range layer {
		where, base := path.Split(p.name)
		if base == opaqueMark {
			m.removeBelow(path.Dir(p.name))
		} else if hidden, ok := strings.CutPrefix(base, whiteoutPrefix); ok {
			m.removeBelow(where + hidden)
			delete(m, where+hidden)
		}
	}
	var used []piece
	for _, p := range layer {
		if strings.HasPrefix(path.Base(p.name), whiteoutPrefix) {
			used = append(used, p)
			continue
		}
		if p.typeflag == tar.TypeLink {
			target := m[p.link]
			if target == nil || target.typeflag == tar.TypeDir || strings.HasPrefix(p.link, p.name+"/") {
				continue
			}
			used = append(used, p)
			m.set(p.name, target)
			continue
		}
		used = append(used, p)
		copied := p
		m.set(p.name, &copied)
	}
	return used
}

func (m model) show() []string {
	first := map[*piece]string{}
	var lines []string
	for _, p := range slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	}) {
		is := m[p]
		switch {
		case is.typeflag == tar.TypeDir:
			lines = append(lines, fmt.Sprintf("d %s %d", p, is.uid))
		case first[is] != "":
			lines = append(lines, fmt.Sprintf("h %s => %s", p, first[is]))
		case is.typeflag == tar.TypeSymlink:
			lines = append(lines, fmt.Sprintf("l %s -> %s %d", p, is.link, is.uid))
		default:
			lines = append(lines, fmt.Sprintf("f %s %s %d", p, is.content, is.uid))
		}
		if first[is] == "" {
			first[is] = p
		}
	}
	return lines
}

func showFlat(t require.TestingT, raw []byte) []string {
	var lines []string
	for r := tar.NewReader(bytes.NewReader(raw)); ; {
		h, err := r.Next()
		if err != nil {
			require.EqualError(t, err, "EOF")
			return lines
		}
		name := strings.TrimSuffix(h.Name, "/")
		var content bytes.Buffer
		_, err = content.ReadFrom(r)
		require.NoError(t, err)
		switch h.Typeflag {
		case tar.TypeDir:
			lines = append(lines, fmt.Sprintf("d %s %d", name, h.Uid))
		case tar.TypeLink:
			lines = append(lines, fmt.Sprintf("h %s => %s", name, h.Linkname))
		case tar.TypeSymlink:
			lines = append(lines, fmt.Sprintf("l %s -> %s %d", name, h.Linkname, h.Uid))
		default:
			lines = append(lines, fmt.Sprintf("f %s %s %d", name, content.String(), h.Uid))
		}
	}
}

func TestFlattenIsLikeTheModel(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	paths := rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/b", "f/g/h", "f", "f/g"})
	rapid.Check(t, func(rt *rapid.T) {
		m := model{}
		var layers []layer
		for n := range rapid.IntRange(1, 4).Draw(rt, "layers") {
			var pieces []piece
			for i := range rapid.IntRange(0, 8).Draw(rt, "entries") {
				p := piece{name: paths.Draw(rt, "path"), uid: n*10 + i, mode: 0o755}
				switch rapid.IntRange(0, 6).Draw(rt, "type") {
				case 0:
					p.typeflag = tar.TypeDir
				case 1:
					// Below the root alone, where nothing is put through it in the same layer.
					p.name, p.link, p.typeflag = "s", paths.Draw(rt, "target"), tar.TypeSymlink
				case 2:
					p = hard(p.name, paths.Draw(rt, "target"))
				case 3:
					p.name = path.Join(path.Dir(p.name), whiteoutPrefix+path.Base(p.name))
				case 4:
					p.name = path.Join(p.name, opaqueMark)
				default:
					p.content = fmt.Sprintf("%d.%d", n, i)
				}
				pieces = append(pieces, p)
			}
			layers = append(layers, asLayer(archive(rt, m.apply(pieces)...)))
		}
		got, err := flat(t.Context(), temp, Limits{}, layers...)
		require.NoError(rt, err)
		require.Equal(rt, m.show(), showFlat(rt, got))
	})
}

// FuzzFlatten takes any bytes as two layers: what is accepted stays below the root, and is an archive that flattens to itself.
func FuzzFlatten(f *testing.F) {
	f.Add(archive(f, dir("d"), file("d/a", "1"), hard("b", "d/a"), soft("s", "../x")), archive(f, file("d/.wh.a", ""), file("s/y", "2")))
	f.Add(archive(f, soft("s", "s2/../.."), file("s/a", "1")), archive(f, file("../a", "")))
	f.Add(gzipped(f, archive(f, piece{name: "x", xattrs: map[string]string{"user.a": "\x00"}, uid: 1 << 30})), []byte("\x28\xb5\x2f\xfdnonsense"))
	f.Add([]byte{}, make([]byte, 1024))
	limits := Limits{Bytes: 1 << 20, Entries: 1000, Metadata: 1 << 20}
	f.Fuzz(func(t *testing.T, lower, upper []byte) {
		layers := []layer{asLayer(lower), asLayer(upper)}
		for i, raw := range [][]byte{lower, upper} {
			plain, err := decompressed(raw)
			if err != nil {
				return
			}
			layers[i].diffID = asLayer(plain).diffID
		}
		got, err := flat(t.Context(), t.TempDir(), limits, layers...)
		if err != nil {
			return
		}
		for _, line := range show(t, got) {
			require.NotContains(t, strings.Split(strings.Fields(line + " .")[1], "/"), "..")
		}
		again, err := flat(t.Context(), t.TempDir(), Limits{}, asLayer(got))
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

func decompressed(raw []byte) ([]byte, error) {
	r, err := decompress(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out bytes.Buffer
	used := int64(0)
	_, err = out.ReadFrom(&meter{from: r, used: &used, limit: 1 << 20})
	return out.Bytes(), err
}
