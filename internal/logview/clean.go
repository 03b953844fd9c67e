package logview

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes a line of a job's output harmless to a terminal: it could move the cursor, change the window's title or rewrite what
// stands above. Of escape sequences only colours stay, if they are wanted; of a line that was overwritten by carriage
// returns stays the last version.
func Clean(line string, color bool) string {
	line = strings.TrimRight(line, "\r\n")
	if at := strings.LastIndexByte(line, '\r'); at >= 0 {
		line = line[at+1:]
	}
	if !strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) || r == utf8.RuneError }) {
		return line
	}
	var out strings.Builder
	colored := false
	for len(line) > 0 {
		if line[0] == '\x1b' {
			sequence := escape(line)
			if color && isColor(sequence) {
				out.WriteString(sequence)
				colored = true
			}
			line = line[len(sequence):]
			continue
		}
		r, size := utf8.DecodeRuneInString(line)
		if r == '\t' || !unicode.IsControl(r) {
			out.WriteRune(r)
		}
		line = line[size:]
	}
	if colored {
		out.WriteString(reset)
	}
	return out.String()
}

// escape returns the escape sequence at the beginning of text (ECMA-48): a control sequence, a string such as a window's title,
// or one more character.
func escape(text string) string {
	if len(text) < 2 || text[1] >= utf8.RuneSelf {
		return text[:1]
	}
	switch text[1] {
	case '[':
		for i := 2; i < len(text); i++ {
			if text[i] >= 0x40 && text[i] <= 0x7e {
				return text[:i+1]
			}
			if text[i] < 0x20 || text[i] > 0x7e {
				return text[:i]
			}
		}
		return text
	case ']', 'P', 'X', '^', '_':
		if at := strings.IndexByte(text, '\a'); at >= 0 {
			return text[:at+1]
		}
		if at := strings.Index(text, "\x1b\\"); at >= 0 {
			return text[:at+2]
		}
		return text
	}
	return text[:2]
}

// isColor reports whether a sequence is a select-graphic-rendition of digits and semicolons.
func isColor(sequence string) bool {
	body, ok := strings.CutPrefix(sequence, "\x1b[")
	if !ok {
		return false
	}
	body, ok = strings.CutSuffix(body, "m")
	return ok && strings.Trim(body, "0123456789;:") == ""
}
