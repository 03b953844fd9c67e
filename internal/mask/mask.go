// Package mask takes secrets out of text while it streams by.
//
// # What is looked for
//
// A secret becomes a set of needles: its exact value and, when it is long enough to be told from ordinary text, the forms in
// which programs print secrets by accident (forms.go). All needles of a job go into one Aho-Corasick automaton
// (automaton.go), which reads each byte once, whatever the number of needles, and knows after each byte the longest needle
// that ends there and the longest suffix of the text that a needle may still grow from.
//
// # What is replaced
//
// Occurrences that share bytes form one region. A region is replaced once, by the replacement of its leftmost-longest
// occurrence: the first to begin and, of those, the last to end. Where occurrences don't overlap this is what a
// multi-string replacer does. Where they do, such a replacer takes the first and lets the rest of the second through;
// here no byte that belongs to any needle is ever shown. Replacements are not searched again.
//
// # What it costs
//
// Time is linear in the text, memory linear in the needles, and of the text only the longest suffix that may still become
// an occurrence is held back. The alternative, taking occurrences from left to right without merging, would have to go
// back over text after each replacement, which is quadratic for hostile input.
package mask

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// MinDerived is the length in bytes from which a secret is also looked for in derived forms, and a line of a secret by itself.
// Shorter ones would hit ordinary text: a line "{" of a JSON secret would mask every brace of the log.
const MinDerived = 8

// MaxDerived is the length in bytes up to which a secret is looked for in derived forms: some forty of them are kept in memory.
const MaxDerived = 16 << 10

// Masker replaces secrets. It is immutable and safe for concurrent use.
type Masker struct {
	automaton    *automaton
	replacements []string
	warnings     []Warning
}

// Warning says why a secret can't be masked as well as one would wish.
type Warning struct {
	// Replacement names the secret by what is shown in its place.
	Replacement string
	// Text describes the weakness; it never holds the secret.
	Text string
}

// New makes a masker from secrets and what is to be shown in their place. Exact values are replaced whatever their length;
// an empty secret is ignored. A needle that comes from several secrets gets the replacement of the one of which it is the exact
// value, else of the secret that sorts first.
func New(secrets map[string]string) *Masker {
	m := &Masker{}
	values := make([]string, 0, len(secrets))
	for value := range secrets {
		if value != "" {
			values = append(values, value)
		}
	}
	slices.Sort(values)
	var needles []needle
	for i, value := range values {
		m.replacements = append(m.replacements, secrets[value])
		m.warnings = append(m.warnings, weaknesses(value, secrets[value])...)
		needles = append(needles, needle{value, int32(i), true})
		for _, form := range derived(value) {
			needles = append(needles, needle{form, int32(i), false})
		}
	}
	slices.SortFunc(needles, func(a, b needle) int {
		return cmp.Or(cmp.Compare(a.text, b.text), -compareBool(a.exact, b.exact), cmp.Compare(a.replacement, b.replacement))
	})
	needles = slices.CompactFunc(needles, func(a, b needle) bool { return a.text == b.text })
	m.automaton = newAutomaton(needles)
	slices.SortFunc(m.warnings, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Replacement, b.Replacement), cmp.Compare(a.Text, b.Text))
	})
	m.warnings = slices.Compact(m.warnings)
	return m
}

// String returns s with all secrets replaced, as a stream of the same bytes would have.
func (m *Masker) String(s string) string {
	var out bytes.Buffer
	stream := m.Stream(&out)
	// Writing to a buffer can't fail.
	_, _ = stream.Write([]byte(s))
	_ = stream.Flush()
	return out.String()
}

// Warnings lists the secrets that can't be masked well, by replacement.
func (m *Masker) Warnings() []Warning { return slices.Clone(m.warnings) }

func weaknesses(value, replacement string) []Warning {
	if len(value) < MinDerived {
		return []Warning{{replacement, fmt.Sprintf("the secret is shorter than %d bytes: only its exact value is masked, "+
			"and that wherever it occurs, but not encoded forms of it", MinDerived)}}
	}
	var found []Warning
	if len(value) > MaxDerived {
		found = append(found, Warning{replacement, fmt.Sprintf("the secret is longer than %d bytes: its exact value and its lines are "+
			"masked, but not encoded forms of it", MaxDerived)})
	}
	short, all := 0, 0
	for line := range strings.Lines(value) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		all++
		if len(line) < MinDerived {
			short++
		}
	}
	if all > 1 && short > 0 {
		found = append(found, Warning{replacement, fmt.Sprintf("%d of the secret's %d lines are shorter than %d bytes: these are masked "+
			"only where the whole secret is printed", short, all, MinDerived)})
	}
	return found
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
