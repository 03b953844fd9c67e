package channel

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// maxOpen bounds the requests that a guest works on at a time.
const maxOpen = 64

// Exchange is one request as the guest sees it.
type Exchange struct {
	Request Request
	// Input ends when the host says so or the connection ends.
	Input          io.Reader
	Stdout, Stderr io.Writer
	// Signals is closed when the connection ends.
	Signals <-chan Signal
}

// Handler carries out a request. It must return soon after ctx has ended.
type Handler func(ctx context.Context, exchange Exchange) Result

type server struct {
	handler Handler
	out     *writer

	mu   sync.Mutex
	open map[uint32]*opened
}

// opened is a request being worked on.
type opened struct {
	signals chan Signal
	input   *io.PipeWriter
}

// Serve is the guest's end: it greets the host and carries out its requests, each in a goroutine of its own, until the connection or ctx
// ends. Closing conn is the caller's business. All requests have ended when it returns.
func Serve(ctx context.Context, conn io.ReadWriter, handler Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &server{handler: handler, out: &writer{to: conn, limit: MaxPayload}, open: map[uint32]*opened{}}
	var working sync.WaitGroup
	defer working.Wait()
	defer s.endAll()
	defer cancel()
	if err := s.out.sendMessage(kindHello, 0, hello{Version: Version}); err != nil {
		return err
	}
	from := &reader{from: conn, limit: MaxRequest}
	for {
		f, err := from.next()
		if err != nil {
			return err
		}
		if err := s.take(ctx, f, &working); err != nil {
			return err
		}
	}
}

func (s *server) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for stream, o := range s.open {
		o.end(io.ErrUnexpectedEOF)
		delete(s.open, stream)
	}
}

func (o *opened) end(err error) {
	close(o.signals)
	_ = o.input.CloseWithError(err)
}

func (s *server) take(ctx context.Context, f frame, working *sync.WaitGroup) error {
	switch f.kind {
	case kindPing:
		return s.out.send(kindPong, 0, nil)
	case kindRequest:
		return s.begin(ctx, f, working)
	case kindInput, kindInputEnd, kindSignal:
	default:
		return fmt.Errorf("%w: a host sends no frame of kind %d", ErrProtocol, f.kind)
	}
	s.mu.Lock()
	o := s.open[f.stream]
	s.mu.Unlock()
	if o == nil {
		return nil // the request has just ended
	}
	switch f.kind {
	case kindInput:
		_, _ = o.input.Write(f.payload) // fails when nobody reads it any more
	case kindInputEnd:
		_ = o.input.Close()
	case kindSignal:
		return s.signal(f)
	}
	return nil
}

func (s *server) signal(f frame) error {
	var signal Signal
	if err := decode(f.payload, &signal); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[f.stream]; o != nil {
		select {
		case o.signals <- signal:
		default: // more than anybody sends; the last ones would say the same
		}
	}
	return nil
}

func (s *server) begin(ctx context.Context, f frame, working *sync.WaitGroup) error {
	var request Request
	if err := decode(f.payload, &request); err != nil {
		return err
	}
	input, feed := io.Pipe()
	o := &opened{signals: make(chan Signal, 16), input: feed}
	s.mu.Lock()
	_, known := s.open[f.stream]
	tooMany := len(s.open) >= maxOpen
	if !known && !tooMany {
		s.open[f.stream] = o
	}
	s.mu.Unlock()
	if known || tooMany {
		return fmt.Errorf("%w: stream %d opened beside %d others", ErrProtocol, f.stream, maxOpen)
	}
	stream := f.stream
	working.Go(func() {
		result := s.handler(ctx, Exchange{
			Request: request,
			Input:   input,
			Stdout:  output{s.out, kindStdout, stream},
			Stderr:  output{s.out, kindStderr, stream},
			Signals: o.signals,
		})
		_ = input.Close() // the host may still be sending
		s.mu.Lock()
		_, mine := s.open[stream]
		delete(s.open, stream)
		s.mu.Unlock()
		if mine {
			o.end(io.ErrClosedPipe)
		}
		_ = s.out.sendMessage(kindResult, stream, result.bounded()) // fails when the connection has ended, which ends Serve
	})
	return nil
}

// bounded cuts an error's message to what the host takes.
func (r Result) bounded() Result {
	if r.Error != nil && len(r.Error.Message) > maxMessage {
		r.Error = &Error{Reason: r.Error.Reason, Message: r.Error.Message[:maxMessage]}
	}
	return r
}

// output sends what is written to it.
type output struct {
	out    *writer
	kind   kind
	stream uint32
}

func (o output) Write(p []byte) (int, error) {
	for written := 0; written < len(p); {
		piece := p[written:min(len(p), written+MaxPayload)]
		if err := o.out.send(o.kind, o.stream, piece); err != nil {
			return written, err
		}
		written += len(piece)
	}
	return len(p), nil
}
