package jobfile

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var (
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	colon    = regexp.MustCompile(`:(\s|$)`)
	// indicator finds a character that begins no plain value, where a value begins.
	indicator = regexp.MustCompile(`(^|[:,\[{-] *)[@%` + "`" + `\t]`)
)

const (
	// locateBudget bounds, in bytes, how much is parsed again to find where an error lies.
	locateBudget = 2 << 20
	// parserCost is what starting to parse counts as.
	parserCost = 4 << 10
	// lookBehind is how many lines a value in several lines may have to be told from one that is never closed.
	lookBehind = 50
)

// explainYAML turns a parser's error into a problem with a place. The parser's own line numbers are those of an enclosing
// construct, and sometimes off by one: the place is where the longest well-formed beginning of the file ends.
func explainYAML(data []byte, err error) error {
	message := yamlLine.ReplaceAllString(err.Error(), "")
	guess := 1
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil && found[1] != "" {
		guess, _ = strconv.Atoi(found[1])
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	bad := failingLine(lines, guess-1)
	text := string(lines[bad])
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	rest := text[len(indent):]
	column := utf8.RuneCountInString(indent) + 1
	switch {
	case strings.Contains(indent, "\t"):
		column = strings.Index(indent, "\t") + 1
		message = "a tab indents this line: YAML wants spaces"
	case strings.HasPrefix(message, "mapping values are not allowed"):
		if colons := colon.FindAllStringIndex(rest, 2); len(colons) == 2 {
			column += utf8.RuneCountInString(rest[:colons[1][0]])
		}
		message = `": " can't stand here: quote the value if it is text, or align the line with its neighbours`
	case strings.HasPrefix(message, "found character that cannot start any token"):
		if at := indicator.FindStringIndex(rest); at != nil {
			column += utf8.RuneCountInString(rest[:at[1]-1])
		}
		message = "a value can't begin with @, `, % or a tab: quote it"
	case strings.HasPrefix(message, "could not find expected ':'"):
		message = `": " after a member's name is missing on this line or the one before`
	case strings.HasPrefix(message, "unknown anchor"):
		bad, column = anchorPlace(lines, message, bad, column)
	case message == "found unexpected end of stream" && strings.ContainsAny(rest, `"'`):
		column += strings.IndexAny(rest, `"'`)
		message = "this quote is never closed"
	}
	return syntaxError(bad+1, column, "not valid YAML: %s", message)
}

// failingLine returns the index of the line at which the file stops to be well-formed: of a quote or bracket that is never closed
// the line where it begins. The guess, the parser's own line, stands in where finding out would take too long.
func failingLine(lines [][]byte, guess int) int {
	reader := lineReader{lines: lines}
	_ = decodeAll(&reader)
	last := max(min(reader.next, len(lines))-1, 0)
	budget := locateBudget
	parses := func(count int) bool {
		beginning := bytes.Join(lines[:count], nil)
		budget -= len(beginning) + parserCost
		return decodeAll(bytes.NewReader(beginning)) == nil
	}
	if parses(last) {
		return last
	}
	// Between good and bad, the beginnings of good and bad lines, lies the culprit, or something that is closed again further on.
	good := 0
	for budget > 0 {
		for bad := last; good+1 < bad && budget > 0; {
			if middle := (good + bad) / 2; parses(middle) {
				good = middle
			} else {
				bad = middle
			}
		}
		closed := false
		for line := good + 2; line < last && line < good+lookBehind && budget > 0 && !closed; line++ {
			if closed = parses(line); closed {
				good = line
			}
		}
		if !closed && budget > 0 {
			return good
		}
	}
	return max(min(guess, last), 0)
}

func decodeAll(r io.Reader) error {
	decoder := yaml.NewDecoder(r)
	for {
		var document yaml.Node
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// lineReader hands out one line per Read: how many were asked for tells how far a parser came.
type lineReader struct {
	lines [][]byte
	next  int
	rest  []byte
}

func (r *lineReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.next >= len(r.lines) {
			return 0, io.EOF
		}
		r.rest = r.lines[r.next]
		r.next++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// anchorPlace finds the alias that an "unknown anchor 'name' referenced" names.
func anchorPlace(lines [][]byte, message string, line, column int) (int, int) {
	_, name, _ := strings.Cut(message, "'")
	name, _, _ = strings.Cut(name, "'")
	for i := line; i < len(lines); i++ {
		if at := bytes.Index(lines[i], []byte("*"+name)); at >= 0 {
			return i, utf8.RuneCount(lines[i][:at]) + 1
		}
	}
	return line, column
}

// checkControls finds characters that YAML forbids everywhere: its parser refuses them without a place.
func checkControls(data []byte) error {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		forbidden := r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r < 0xa0 && r != 0x85 || r == 0xfffe || r == 0xffff
		if forbidden {
			line, column := positionAt(data, i)
			return syntaxError(line, column, `the control character U+%04X can't stand in YAML: write it as an escape in double quotes, "\x1b" for example`, r)
		}
		i += size
	}
	return nil
}
