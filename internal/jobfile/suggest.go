package jobfile

import "fmt"

// meant maps names that other systems use to ours.
var meant = map[string]string{
	"command": "run", "commands": "run", "script": "run", "cmd": "run",
	"environment": "env", "variables": "env",
	"name": "key", "id": "key",
	"container": "image", "working_directory": "dir", "workdir": "dir", "directory": "dir",
	"repo": "repository", "branch": "commit", "tag": "commit", "ref": "commit", "revision": "commit",
	"jobs": "steps", "stages": "steps", "retry": "retries",
}

// suggestion returns `; did you mean "x"?` when one of the known names is likely meant, else nothing.
func suggestion(name string, known []string) string {
	best, distance := "", 3
	for _, candidate := range known {
		if meant[name] == candidate {
			best, distance = candidate, -1
		}
		if d := editDistance(name, candidate); d < distance && d < len(candidate) {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// editDistance counts the letters to insert, remove or replace to turn a into b; long names are far from everything.
func editDistance(a, b string) int {
	const longest = 32
	if len(a) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
