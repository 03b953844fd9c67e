// Package channel is the protocol between the host and the agent in a microVM's guest: frames over one byte stream, whatever carries
// it (virtio-serial with QEMU, vsock with Firecracker).
//
// A frame is one byte of kind, four bytes of stream, four bytes of length (both big-endian), and as many bytes of payload. The guest speaks
// first, with a Hello that names its version. Each request of the host opens a stream; the guest's frames on it are output and at last one
// result. Neither end believes the other one: lengths are bounded, and what is out of order ends the connection.
package channel

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Version of the protocol. Host and guest must have the same: the guest's initramfs is made of the host's own release.
const Version = 2

const (
	headerSize = 9
	// MaxPayload bounds a frame's payload in bytes.
	MaxPayload = 64 << 10
	// MaxRequest is the bound of what the host asks for: a step's environment may be large, and the guest trusts its host.
	MaxRequest = 4 << 20
)

type kind byte

const (
	kindHello    kind = 1 + iota // guest: hello
	kindRequest                  // host: Request, opens the stream
	kindInput                    // host: bytes of the request's input
	kindInputEnd                 // host: there is no more input
	kindSignal                   // host: Signal
	kindStdout                   // guest: bytes
	kindStderr                   // guest: bytes
	kindResult                   // guest: Result, ends the stream
	kindPing                     // host: are you there?
	kindPong                     // guest: yes
	kindLast     = kindPong
)

type frame struct {
	kind    kind
	stream  uint32
	payload []byte
}

// ErrProtocol is in every error about a peer that breaks the protocol.
var ErrProtocol = errors.New("the peer breaks the protocol")

// reader reads frames. The payload of one lives until the next read.
type reader struct {
	from io.Reader
	// limit bounds payloads in bytes.
	limit  uint32
	header [headerSize]byte
	buffer []byte
}

func (r *reader) next() (frame, error) {
	if _, err := io.ReadFull(r.from, r.header[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: kind(r.header[0]), stream: binary.BigEndian.Uint32(r.header[1:])}
	length := binary.BigEndian.Uint32(r.header[5:])
	if f.kind < kindHello || f.kind > kindLast {
		return frame{}, fmt.Errorf("%w: frame of unknown kind %d", ErrProtocol, f.kind)
	}
	if length > r.limit {
		return frame{}, fmt.Errorf("%w: frame of %d bytes, %d are allowed", ErrProtocol, length, r.limit)
	}
	if int(length) > len(r.buffer) {
		r.buffer = make([]byte, max(length, MaxPayload))
	}
	f.payload = r.buffer[:length]
	if _, err := io.ReadFull(r.from, f.payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	return f, nil
}

// writer writes frames. Safe for concurrent use.
type writer struct {
	to io.Writer
	// limit bounds messages in bytes: what the other end reads.
	limit int

	mu     sync.Mutex
	packed []byte
}

// errTooLarge is in the error of a message that the other end would refuse.
var errTooLarge = errors.New("the message is too large")

// send writes one frame, in one piece.
func (w *writer) send(k kind, stream uint32, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packed = appendFrame(w.packed[:0], k, stream, payload)
	_, err := w.to.Write(w.packed)
	return err
}

// sendMessage writes a message as one frame.
func (w *writer) sendMessage(k kind, stream uint32, message any) error {
	payload, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(payload) > w.limit {
		return fmt.Errorf("%w: %d bytes, %d are allowed", errTooLarge, len(payload), w.limit)
	}
	return w.send(k, stream, payload)
}

// appendFrame appends a frame whose payload the other end takes.
func appendFrame(to []byte, k kind, stream uint32, payload []byte) []byte {
	to = append(to, byte(k))
	to = binary.BigEndian.AppendUint32(to, stream)
	to = binary.BigEndian.AppendUint32(to, uint32(len(payload)))
	return append(to, payload...)
}
