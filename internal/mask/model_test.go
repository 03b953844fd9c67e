package mask

import (
	"slices"
	"strings"
)

// span is a replaced part of a text.
type span struct {
	start, end  int
	replacement string
}

// model finds what is replaced the slow way: all occurrences of all needles, overlapping ones merged.
func model(needles map[string]string, text string) []span {
	var occurrences []span
	for start := range len(text) {
		for needle, replacement := range needles {
			if needle != "" && strings.HasPrefix(text[start:], needle) {
				occurrences = append(occurrences, span{start, start + len(needle), replacement})
			}
		}
	}
	slices.SortFunc(occurrences, func(a, b span) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	var merged []span
	for _, o := range occurrences {
		if last := len(merged) - 1; last >= 0 && o.start < merged[last].end {
			merged[last].end = max(merged[last].end, o.end)
			continue
		}
		merged = append(merged, o)
	}
	return merged
}

// apply makes the masked text.
func apply(spans []span, text string) string {
	var out strings.Builder
	from := 0
	for _, s := range spans {
		out.WriteString(text[from:s.start] + s.replacement)
		from = s.end
	}
	return out.String() + text[from:]
}

// allNeedles is every needle of secrets with its replacement, by the rules that New promises.
func allNeedles(secrets map[string]string) map[string]string {
	values := make([]string, 0, len(secrets))
	for value := range secrets {
		values = append(values, value)
	}
	slices.Sort(values)
	needles := map[string]string{}
	for _, value := range slices.Backward(values) {
		for _, form := range derived(value) {
			needles[form] = secrets[value]
		}
	}
	for value, replacement := range secrets {
		needles[value] = replacement
	}
	return needles
}
