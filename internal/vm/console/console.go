// Package console keeps the end of what a guest prints, however much that is.
package console

import "sync"

// Size is how much is kept, in bytes.
const Size = 64 << 10

// Tail is a writer that keeps the last Size bytes. Safe for concurrent use; the zero value is empty.
type Tail struct {
	mu   sync.Mutex
	ring []byte
	// next is where the next byte goes once the ring is full.
	next int
}

// Write never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	written := len(p)
	p = p[max(0, len(p)-Size):]
	if room := Size - len(t.ring); room > 0 {
		fits := p[:min(room, len(p))]
		t.ring = append(t.ring, fits...)
		p = p[len(fits):]
	}
	for len(p) > 0 {
		n := copy(t.ring[t.next:], p)
		t.next = (t.next + n) % Size
		p = p[n:]
	}
	return written, nil
}

// Bytes copies what is kept.
func (t *Tail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(append(make([]byte, 0, len(t.ring)), t.ring[t.next:]...), t.ring[:t.next]...)
}
