package mask

import "io"

// chunk bounds how much of one Write is looked at, and buffered, at a time.
const chunk = 32 << 10

// Stream replaces secrets in what is written to it and passes the rest on to its writer. It holds back what may still become
// part of an occurrence. Not safe for concurrent use.
type Stream struct {
	masker *Masker
	writer io.Writer
	err    error

	state int32
	// held are the bytes from offset passed up to offset read of the text; nothing of them is shown yet.
	held         []byte
	passed, read int64
	// regions lie at or behind passed, in order, apart from each other. The first may have begun before it: then its replacement
	// is shown already.
	regions []region
	out     []byte
}

// region is a part of the text that overlapping occurrences cover.
type region struct {
	start, end  int64
	replacement int32
	shown       bool
}

// Stream returns a new stream onto w. Streams of one masker are independent of each other.
func (m *Masker) Stream(w io.Writer) *Stream { return &Stream{masker: m, writer: w} }

// Write takes the next bytes of the text, cut anywhere. It fails only when the underlying writer does; that error stays.
func (s *Stream) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		if s.err != nil {
			return done, s.err
		}
		part := p[done:min(len(p), done+chunk)]
		s.scan(part)
		s.held = append(s.held, part...)
		s.pass(s.read - int64(s.masker.automaton.open[s.state]))
		done += len(part)
	}
	return len(p), s.err
}

// Flush passes on what is held back: the text ends here. What is written afterwards is a new text.
func (s *Stream) Flush() error {
	s.pass(s.read)
	s.state = root
	return s.err
}

// scan moves the automaton over p and notes the regions that end in it.
func (s *Stream) scan(p []byte) {
	a, state := s.masker.automaton, s.state
	for i, b := range p {
		if state == root {
			// The common case of text that has nothing in common with any needle.
			if state = a.start[b]; state == root {
				continue
			}
		} else {
			state = a.next(state, b)
		}
		if length := a.ends[state]; length > 0 {
			end := s.read + int64(i) + 1
			s.cover(region{start: end - int64(length), end: end, replacement: a.replacement[state]})
		}
	}
	s.state = state
	s.read += int64(len(p))
}

// cover adds an occurrence, the longest of those that end where the text has been read to: the regions that it touches become
// one with it.
func (s *Stream) cover(occurrence region) {
	for len(s.regions) > 0 {
		last := s.regions[len(s.regions)-1]
		if last.end <= occurrence.start {
			break
		}
		if last.start < occurrence.start {
			occurrence.start, occurrence.replacement, occurrence.shown = last.start, last.replacement, last.shown
		}
		s.regions = s.regions[:len(s.regions)-1]
	}
	s.regions = append(s.regions, occurrence)
}

// pass shows the text up to the offset safe, before which no later occurrence can begin. The replacement of a region is
// certain as soon as safe lies behind its start; its end may move on after that.
func (s *Stream) pass(safe int64) {
	out, from := s.out[:0], s.passed
	closed := 0
	for i := range s.regions {
		r := &s.regions[i]
		if r.start >= safe {
			break
		}
		if !r.shown {
			out = append(out, s.held[from-s.passed:r.start-s.passed]...)
			out = append(out, s.masker.replacements[r.replacement]...)
			r.shown = true
		}
		from = min(r.end, safe)
		if r.end <= safe {
			closed++
		}
	}
	if from < safe {
		out = append(out, s.held[from-s.passed:safe-s.passed]...)
	}
	s.regions = s.regions[:copy(s.regions, s.regions[closed:])]
	s.held = s.held[:copy(s.held, s.held[safe-s.passed:])]
	s.passed = safe
	s.out = out
	if len(out) > 0 && s.err == nil {
		_, s.err = s.writer.Write(out)
	}
}
