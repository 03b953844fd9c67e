// Package boot makes what a microVM boots: an uncompressed kernel, and an initramfs with the guest agent as its first process and the
// modules without which that can't reach its drives, its network and its channel.
package boot

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/open-executor/executor/internal/fault"
)

// maxKernel bounds an uncompressed kernel, in bytes.
const maxKernel = 256 << 20

var elfMagic = []byte("\x7fELF")

// Offsets in the setup header of a bzImage (Documentation/arch/x86/boot.rst of Linux).
const (
	setupSectors  = 0x1f1
	setupMagic    = 0x202
	setupVersion  = 0x206
	payloadOffset = 0x248
	payloadLength = 0x24c
	setupEnd      = 0x250
	sectorSize    = 512
	minVersion    = 0x208
)

// Vmlinux returns the ELF kernel in a distribution's vmlinuz, or the image itself when it is one already. Monitors start it without the
// detour through the decompressor, which takes long where there is no KVM. An image that can't be read is an operator error.
func Vmlinux(image []byte) ([]byte, error) {
	if bytes.HasPrefix(image, elfMagic) {
		return image, nil
	}
	payload, err := payloadOf(image)
	if err != nil {
		return nil, fault.As(fault.Operator, err)
	}
	kernel, err := decompress(payload)
	if err != nil {
		return nil, fault.Operatorf("decompressing the kernel: %w", err)
	}
	if !bytes.HasPrefix(kernel, elfMagic) {
		return nil, fault.Operatorf("what is in the kernel image is no ELF file: it begins with %x", kernel[:min(len(kernel), 4)])
	}
	return kernel, nil
}

func payloadOf(image []byte) ([]byte, error) {
	if len(image) < setupEnd || string(image[setupMagic:setupMagic+4]) != "HdrS" {
		return nil, fmt.Errorf("the kernel image is no bzImage for x86")
	}
	if version := binary.LittleEndian.Uint16(image[setupVersion:]); version < minVersion {
		return nil, fmt.Errorf("the kernel image has boot protocol %#x; %#x or later is needed", version, minVersion)
	}
	sectors := uint64(image[setupSectors])
	if sectors == 0 {
		sectors = 4
	}
	start := (sectors+1)*sectorSize + uint64(binary.LittleEndian.Uint32(image[payloadOffset:]))
	length := uint64(binary.LittleEndian.Uint32(image[payloadLength:]))
	if start+length > uint64(len(image)) {
		return nil, fmt.Errorf("the kernel image is cut: its payload ends at %d of %d bytes", start+length, len(image))
	}
	return image[start : start+length], nil
}

// decompress undoes the compressions of distributions' kernels. What follows the compressed data, its size, is of no use.
func decompress(payload []byte) ([]byte, error) {
	var from io.Reader
	switch {
	case bytes.HasPrefix(payload, []byte{0x02, 0x21, 0x4c, 0x18}):
		from = lz4.NewReader(bytes.NewReader(payload[:len(payload)-min(4, len(payload))]))
	case bytes.HasPrefix(payload, []byte{0x1f, 0x8b}):
		gz, err := gzip.NewReader(bytes.NewReader(payload))
		if err != nil {
			return nil, err
		}
		gz.Multistream(false)
		from = gz
	case bytes.HasPrefix(payload, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		decoder, err := zstd.NewReader(bytes.NewReader(payload[:len(payload)-min(4, len(payload))]), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxKernel))
		if err != nil {
			return nil, err
		}
		defer decoder.Close()
		from = decoder
	default:
		return nil, fmt.Errorf("it begins with %x, which is none of lz4, gzip and zstd; use another kernel package", payload[:min(len(payload), 6)])
	}
	kernel, err := io.ReadAll(io.LimitReader(from, maxKernel+1))
	if err == nil && len(kernel) > maxKernel {
		err = fmt.Errorf("it measures more than %d bytes", maxKernel)
	}
	return kernel, err
}
