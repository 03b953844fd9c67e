package gitproxy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxSuggestions is how many names an error suggests; for a text longer than maxGuess nothing is guessed.
const (
	maxSuggestions = 3
	maxGuess       = 200
)

// near picks the names that a person may have meant, the nearest first.
func near(wanted string, names []string) []string {
	type rated struct {
		name     string
		distance int
	}
	if len(wanted) > maxGuess {
		return nil
	}
	var list []rated
	for _, name := range names {
		distance := editDistance(strings.ToLower(wanted), strings.ToLower(name))
		contained := len(wanted) > 2 && (strings.Contains(name, wanted) || strings.Contains(wanted, name))
		if contained || distance <= max(2, len(wanted)/3) {
			list = append(list, rated{name, distance})
		}
	}
	slices.SortFunc(list, func(a, b rated) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var nearest []string
	for _, r := range list[:min(len(list), maxSuggestions)] {
		nearest = append(nearest, r.name)
	}
	return nearest
}

// hint renders suggestions as the end of a sentence.
func hint(suggestions []string) string {
	if len(suggestions) == 0 {
		return ""
	}
	quoted := make([]string, len(suggestions))
	for i, name := range suggestions {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return "; did you mean " + strings.Join(quoted, " or ") + "?"
}

// editDistance counts the single-byte insertions, deletions and replacements between two texts (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
