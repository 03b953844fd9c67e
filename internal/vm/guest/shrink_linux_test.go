package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// instruction is one of a seccomp filter (struct sock_filter of Linux).
type instruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// Codes of what libseccomp's filters are made of; shrink refuses all others.
const (
	loadWord = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	andWord  = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	jump     = unix.BPF_JMP | unix.BPF_JA
	ifEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	ifMore   = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
	ifLeast  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	giveBack = unix.BPF_RET | unix.BPF_K
)

// maxSteps bounds the work on one filter.
const maxSteps = 1 << 22

// errForeign is in the error of a filter that is not of the kind that shrink knows.
var errForeign = errors.New("the filter has an instruction that libseccomp doesn't write")

func decodeFilter(program []byte) []instruction {
	list := make([]instruction, len(program)/8)
	for i := range list {
		b := program[i*8:]
		list[i] = instruction{binary.NativeEndian.Uint16(b), b[2], b[3], binary.NativeEndian.Uint32(b[4:])}
	}
	return list
}

func encodeFilter(list []instruction) []byte {
	var program []byte
	for _, in := range list {
		program = binary.NativeEndian.AppendUint16(program, in.code)
		program = append(program, in.jt, in.jf)
		program = binary.NativeEndian.AppendUint32(program, in.k)
	}
	return program
}

// word is what a filter compares: a word of seccomp_data, by its offset, and the bits of it that count.
type word struct{ offset, mask uint32 }

// state is a place in a filter with the word that the accumulator holds there.
type state struct {
	pc   int
	word word
}

// span is a range of a word's values, from its start up to the next one's, and the node that decides further.
type span struct {
	from uint32
	to   int
}

// node decides about one word, or ends the filter with an action.
type node struct {
	word   word
	spans  []span // none for an action
	action uint32
}

// shrinker turns a filter into a graph of nodes and back. A filter only goes forward and depends on nothing but the words that it loads, so
// what it does changes only at the constants that a word is compared with.
type shrinker struct {
	from  []instruction
	nodes []node
	known map[state]int
	same  map[string]int
	steps int
	// out is the new filter, its last instruction first; at is where nodes begin in it.
	out []instruction
	at  map[int]int
}

// shrink makes a filter that decides as the given one does, with fewer instructions and, by halving ranges instead of comparing with one
// constant after the other, fewer steps.
func shrink(program []byte) ([]byte, error) {
	s := &shrinker{from: decodeFilter(program), known: map[state]int{}, same: map[string]int{}, at: map[int]int{}}
	first, err := s.build(state{0, word{}})
	if err != nil {
		return nil, err
	}
	s.emit(first)
	slices.Reverse(s.out)
	return encodeFilter(s.out), nil
}

// build returns the node that decides as the filter does from a state on.
func (s *shrinker) build(from state) (int, error) {
	if n, found := s.known[from]; found {
		return n, nil
	}
	var spans []span
	if err := s.walk(from, 0, math.MaxUint32, &spans); err != nil {
		return 0, err
	}
	spans = slices.CompactFunc(spans, func(a, b span) bool { return a.to == b.to })
	n := spans[0].to
	if len(spans) > 1 {
		n = s.add(node{word: from.word, spans: spans})
	}
	s.known[from] = n
	return n, nil
}

// add adds a node unless there is such a one.
func (s *shrinker) add(n node) int {
	text := fmt.Sprint(n)
	if i, found := s.same[text]; found {
		return i
	}
	s.nodes = append(s.nodes, n)
	s.same[text] = len(s.nodes) - 1
	return s.same[text]
}

// walk appends the spans between least and most, both included, of the accumulator's values.
func (s *shrinker) walk(at state, least, most uint32, spans *[]span) error {
	for {
		if s.steps++; at.pc >= len(s.from) || s.steps > maxSteps {
			return errForeign
		}
		in := s.from[at.pc]
		at.pc++
		var n int
		var err error
		switch in.code {
		case jump:
			at.pc += int(in.k)
			continue
		case giveBack:
			n = s.add(node{action: in.k})
		case loadWord:
			n, err = s.build(state{at.pc, word{in.k, math.MaxUint32}})
		case andWord:
			n, err = s.build(state{at.pc, word{at.word.offset, at.word.mask & in.k}})
		case ifEqual, ifLeast, ifMore:
			yes, no := at, at
			yes.pc += int(in.jt)
			no.pc += int(in.jf)
			return s.branch(in, yes, no, least, most, spans)
		default:
			err = errForeign
		}
		if err == nil {
			*spans = append(*spans, span{least, n})
		}
		return err
	}
}

// branch walks both ways of a comparison, in the order of the values that take them.
func (s *shrinker) branch(in instruction, yes, no state, least, most uint32, spans *[]span) error {
	// From first to last a comparison is true.
	first, last := uint64(in.k), uint64(in.k)
	switch in.code {
	case ifLeast:
		last = math.MaxUint32
	case ifMore:
		first, last = first+1, math.MaxUint32
	}
	for _, part := range []struct {
		least, most uint64
		at          state
	}{{0, first - 1, no}, {first, last, yes}, {last + 1, math.MaxUint32, no}} {
		if first == 0 && part.most == first-1 {
			continue // nothing is below
		}
		from, to := max(part.least, uint64(least)), min(part.most, uint64(most))
		if from > to {
			continue
		}
		if err := s.walk(part.at, uint32(from), uint32(to), spans); err != nil {
			return err
		}
	}
	return nil
}

// emit writes a node, after those that it leads to, and returns where it begins.
func (s *shrinker) emit(n int) int {
	if at, found := s.at[n]; found {
		return at
	}
	this := s.nodes[n]
	if this.spans == nil {
		s.at[n] = s.put(instruction{code: giveBack, k: this.action})
		return s.at[n]
	}
	for _, part := range this.spans {
		s.emit(part.to)
	}
	s.halve(this.spans)
	if this.word.mask != math.MaxUint32 {
		s.put(instruction{code: andWord, k: this.word.mask})
	}
	s.at[n] = s.put(instruction{code: loadWord, k: this.word.offset})
	return s.at[n]
}

// halve writes comparisons that find the span of a value, and returns where they begin.
func (s *shrinker) halve(spans []span) int {
	if len(spans) == 1 {
		return s.at[spans[0].to]
	}
	middle := len(spans) / 2
	below, above := s.halve(spans[:middle]), s.halve(spans[middle:])
	below, above = s.near(below), s.near(above)
	return s.put(instruction{ifLeast, uint8(len(s.out) - 1 - above), uint8(len(s.out) - 1 - below), spans[middle].from})
}

// near is a place that a comparison written within the next instructions reaches, from where it goes on as from the given one.
func (s *shrinker) near(at int) int {
	distance := len(s.out) - 1 - at
	if distance < math.MaxUint8-1 {
		return at
	}
	if s.out[at].code == giveBack {
		return s.put(s.out[at])
	}
	return s.put(instruction{code: jump, k: uint32(distance)})
}

func (s *shrinker) put(in instruction) int {
	s.out = append(s.out, in)
	return len(s.out) - 1
}
