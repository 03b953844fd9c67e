package boot

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/fstest"

	"github.com/cavaliergopher/cpio"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

// bzImage wraps a payload as a distribution's kernel does.
func bzImage(payload []byte) []byte {
	image := make([]byte, 3*sectorSize)
	image[setupSectors] = 1
	copy(image[setupMagic:], "HdrS")
	binary.LittleEndian.PutUint16(image[setupVersion:], 0x20f)
	binary.LittleEndian.PutUint32(image[payloadOffset:], sectorSize)
	binary.LittleEndian.PutUint32(image[payloadLength:], uint32(len(payload)))
	return append(append(image, payload...), "what follows"...)
}

// sized appends the size, as the kernel's build does.
func sized(packed []byte, kernel []byte) []byte {
	return binary.LittleEndian.AppendUint32(packed, uint32(len(kernel)))
}

func TestKernelsAreUnpacked(t *testing.T) {
	t.Parallel()
	kernel := append([]byte("\x7fELF"), bytes.Repeat([]byte("kernel"), 1000)...)
	var gz, lz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, err := w.Write(kernel)
	require.NoError(t, errors.Join(err, w.Close()))
	l := lz4.NewWriter(&lz)
	require.NoError(t, l.Apply(lz4.LegacyOption(true)))
	_, err = l.Write(kernel)
	require.NoError(t, errors.Join(err, l.Close()))
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	for name, image := range map[string][]byte{
		"ELF":  kernel,
		"gzip": bzImage(sized(gz.Bytes(), kernel)),
		"lz4":  bzImage(sized(lz.Bytes(), kernel)),
		"zstd": bzImage(sized(z.EncodeAll(kernel, nil), kernel)),
	} {
		got, err := Vmlinux(image)
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(kernel, got), name)
	}
}

func TestKernelsThatAreNone(t *testing.T) {
	t.Parallel()
	whole := bzImage([]byte("payload"))
	old := bytes.Clone(whole)
	binary.LittleEndian.PutUint16(old[setupVersion:], 0x207)
	long := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(long[payloadLength:], 1<<31)
	for want, image := range map[string][]byte{
		"is no bzImage":         nil,
		"boot protocol 0x207":   old,
		"is cut":                long,
		"it begins with 706179": whole,
		"is no ELF file":        bzImage(mustGzip(t, "text")),
	} {
		_, err := Vmlinux(image)
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.Operator, fault.ClassOf(err))
	}
}

func mustGzip(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func FuzzVmlinux(f *testing.F) {
	f.Add(bzImage([]byte{0x1f, 0x8b}))
	f.Add(bzImage([]byte{0x02, 0x21, 0x4c, 0x18, 1, 2, 3}))
	f.Fuzz(func(t *testing.T, image []byte) {
		kernel, err := Vmlinux(image)
		if err == nil && !bytes.HasPrefix(kernel, elfMagic) {
			t.Error("it is no ELF file")
		}
	})
}

// module is an ELF file with nothing but a section .modinfo.
func module(depends string) []byte {
	info := []byte("license=GPL\x00depends=" + depends + "\x00name=x\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01")
	put16 := func(at int, v uint16) { binary.LittleEndian.PutUint16(header[at:], v) }
	put16(16, 1)
	put16(18, 62)
	binary.LittleEndian.PutUint32(header[20:], 1)
	binary.LittleEndian.PutUint64(header[40:], uint64(64+len(info)+len(names)))
	put16(52, 64)
	put16(58, 64)
	put16(60, 3)
	put16(62, 2)
	section := func(name, kind uint32, offset, size int) []byte {
		s := make([]byte, 64)
		binary.LittleEndian.PutUint32(s, name)
		binary.LittleEndian.PutUint32(s[4:], kind)
		binary.LittleEndian.PutUint64(s[24:], uint64(offset))
		binary.LittleEndian.PutUint64(s[32:], uint64(size))
		return s
	}
	file := append(append(header, info...), names...)
	file = append(file, section(0, 0, 0, 0)...)
	file = append(file, section(1, 1, 64, len(info))...)
	return append(file, section(10, 3, 64+len(info), len(names))...)
}

func kernelTree(files map[string]string) fstest.MapFS {
	tree := fstest.MapFS{"modules.builtin": {Data: []byte("kernel/fs/ext4/ext4.ko\nkernel/lib/crc-16.ko\n")}, "kernel": {Mode: 0o755 | 1<<31}}
	for name, depends := range files {
		tree[name] = &fstest.MapFile{Data: module(depends)}
	}
	return tree
}

func TestModulesComeAfterThoseTheyNeed(t *testing.T) {
	t.Parallel()
	tree := kernelTree(map[string]string{
		"kernel/drivers/virtio-blk.ko": "virtio,virtio_ring,crc-16", "kernel/drivers/virtio.ko": "", "kernel/drivers/virtio_ring.ko": "virtio",
		"kernel/fs/other.ko": "virtio",
	})
	found, err := Modules(tree, []string{"virtio_blk", "ext4", "virtio"})
	require.NoError(t, err)
	var names []string
	for _, m := range found {
		names = append(names, m.Name)
	}
	require.Equal(t, []string{"virtio", "virtio_ring", "virtio_blk"}, names)
}

func TestModulesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for want, files := range map[string]map[string]string{
		"has no module virtio_blk":             {},
		"has no module gone, which guests":     {"kernel/virtio_blk.ko": "gone"},
		"virtio_blk.ko.xz is compressed":       {"kernel/virtio_blk.ko.xz": ""},
		"(virtio_blk needs virtio needs gone)": {"kernel/virtio_blk.ko": "virtio", "kernel/virtio.ko": "gone"},
	} {
		_, err := Modules(kernelTree(files), []string{"virtio_blk"})
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.Operator, fault.ClassOf(err))
	}
	broken := kernelTree(nil)
	broken["kernel/virtio_blk.ko"] = &fstest.MapFile{Data: []byte("\x7fELF")}
	_, err := Modules(broken, []string{"virtio_blk"})
	require.ErrorContains(t, err, "module kernel/virtio_blk.ko")
}

func TestSignaturesAreLeftOut(t *testing.T) {
	t.Parallel()
	sign := func(length uint32) []byte {
		signed := append([]byte("module"), "signature"...)
		signed = append(signed, make([]byte, signatureSize-4)...)
		return append(binary.BigEndian.AppendUint32(signed, length), signatureEnd...)
	}
	require.Equal(t, "module", string(unsigned(sign(9))))
	for _, as := range [][]byte{nil, []byte("module"), []byte(signatureEnd), sign(16), sign(1<<32 - 1)} {
		require.Equal(t, as, unsigned(as))
	}
}

func TestInitramfs(t *testing.T) {
	t.Parallel()
	modules := []Module{{Name: "virtio", Data: []byte("one")}, {Name: "virtio_blk", Data: []byte("two")}}
	var first, second bytes.Buffer
	require.NoError(t, WriteInitramfs(&first, []byte("agent"), modules))
	require.NoError(t, WriteInitramfs(&second, []byte("agent"), modules))
	require.Equal(t, first.Bytes(), second.Bytes())
	content := map[string]string{}
	for archive := cpio.NewReader(&first); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		text, err := io.ReadAll(archive)
		require.NoError(t, err)
		content[header.Name] = string(text)
	}
	require.Equal(t, map[string]string{
		"dev": "", "proc": "", "sys": "", "run": "", "root": "", "modules": "", "init": "agent",
		"modules/000-virtio.ko": "one", "modules/001-virtio_blk.ko": "two",
	}, content)
	require.Equal(t, "virtio_blk", ModuleOf(ModuleFile(1, "virtio_blk")))
}
