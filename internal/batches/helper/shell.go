package helper

import (
	"regexp"
	"strings"
)

var (
	plainWord = regexp.MustCompile(`\A[A-Za-z0-9_/.:=@%+,-]+\z`)
	variable  = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]*\z`)
)

// quote returns text, which has no NUL, as one word of POSIX sh: as it is when that is safe, else in single quotes.
func quote(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'"'"'`) + "'"
}

// operand returns a path that no command takes for an option.
func operand(path string) string {
	if strings.HasPrefix(path, "-") {
		return "./" + path
	}
	return path
}

// isVariable reports whether sh can export a variable of this name.
func isVariable(name string) bool { return variable.MatchString(name) }
