package mask

import "slices"

// needle is one text to look for.
type needle struct {
	text        string
	replacement int32
	// exact is true for a secret's own value, false for a form derived from it.
	exact bool
}

const root = 0

// automaton is an Aho-Corasick automaton in flat arrays. States are numbered breadth-first, so that the children of a state are
// neighbours, sorted by their byte: state s owns the states first[s] up to first[s+1], and label says which byte leads to
// each. That takes 21 bytes per state, where a full transition table would take 1 KiB; the price is a short search per
// byte where needles branch, which is rare below the root. The root, where most text is spent, has a full table.
type automaton struct {
	first []int32
	label []byte
	// fail is the state of the longest proper suffix of the text that a state stands for: the longest suffix of what was read
	// that begins a needle.
	fail []int32
	// open is the length of the longest suffix of that text that may still grow to a needle.
	open []int32
	// ends is the length of the longest needle that ends with that text, 0 for none; replacement belongs to it.
	ends        []int32
	replacement []int32
	// start is the state after one byte from the root; root itself where no needle begins so.
	start [256]int32
}

// newAutomaton takes needles in ascending order without repeats or empty ones.
func newAutomaton(needles []needle) *automaton {
	a := &automaton{}
	// share[s] is the range of needles that begin with the text of s, and the length of that text.
	type share struct{ low, high, depth int32 }
	shares := []share{{0, int32(len(needles)), 0}}
	a.label, a.fail = []byte{0}, []int32{root}
	for state := int32(0); int(state) < len(shares); state++ {
		low, high, depth := shares[state].low, shares[state].high, shares[state].depth
		end, replacement := int32(0), int32(0)
		if low < high && len(needles[low].text) == int(depth) {
			end, replacement = depth, needles[low].replacement
			low++
		} else if state != root {
			end, replacement = a.ends[a.fail[state]], a.replacement[a.fail[state]]
		}
		a.ends, a.replacement = append(a.ends, end), append(a.replacement, replacement)
		open := depth
		if low == high && state != root {
			open = a.open[a.fail[state]]
		}
		a.open = append(a.open, open)
		a.first = append(a.first, int32(len(shares)))
		for low < high {
			label, next := needles[low].text[depth], low+1
			for next < high && needles[next].text[depth] == label {
				next++
			}
			child := int32(len(shares))
			fail := int32(root)
			if state == root {
				a.start[label] = child
			} else {
				fail = a.next(a.fail[state], label)
			}
			shares = append(shares, share{low, next, depth + 1})
			a.label, a.fail = append(a.label, label), append(a.fail, fail)
			low = next
		}
	}
	a.first = append(a.first, int32(len(shares)))
	return a
}

// next is the state after one more byte. Each step back along fail gives up depth that an earlier byte has gained, so that
// a text takes at most two steps per byte on the whole.
func (a *automaton) next(state int32, b byte) int32 {
	for state != root {
		if child := a.child(state, b); child != root {
			return child
		}
		state = a.fail[state]
	}
	return a.start[b]
}

// child is the state that b leads to from state without falling back; root for none.
func (a *automaton) child(state int32, b byte) int32 {
	low, high := a.first[state], a.first[state+1]
	if high-low > 8 {
		if i, found := slices.BinarySearch(a.label[low:high], b); found {
			return low + int32(i)
		}
		return root
	}
	for ; low < high; low++ {
		if a.label[low] == b {
			return low
		}
	}
	return root
}
