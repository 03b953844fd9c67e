package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// derived lists the forms besides its exact value in which a secret is looked for. Repeats are possible; no form is empty.
func derived(value string) []string {
	if len(value) < MinDerived {
		return nil
	}
	var forms []string
	if strings.Contains(value, "\n") {
		unix := strings.ReplaceAll(value, "\r\n", "\n")
		forms = append(forms, unix, strings.ReplaceAll(unix, "\n", "\r\n"))
		for line := range strings.Lines(value) {
			// The white space around a line says nothing, and a line may be printed with another indentation.
			if line = strings.TrimSpace(line); len(line) >= MinDerived {
				forms = append(forms, line)
			}
		}
	}
	whole := []string{value}
	// A secret read from a file often ends with a newline that the shell drops when it becomes a variable.
	if trimmed := strings.TrimRight(value, "\r\n"); len(trimmed) >= MinDerived && trimmed != value {
		whole = append(whole, trimmed)
		forms = append(forms, trimmed)
	}
	if len(value) > MaxDerived {
		return forms
	}
	for _, value := range whole {
		forms = append(forms, base64Forms(value)...)
		forms = append(forms, urlForms(value)...)
		forms = append(forms, jsonForms(value)...)
		forms = append(forms, shellForms(value)...)
	}
	return forms
}

// base64Forms are what of a base64 text depends on value alone, when value stands in the encoded bytes behind a multiple of three
// bytes, or one or two bytes more; once with anything behind it, and once at the end, without and with padding.
func base64Forms(value string) []string {
	var forms []string
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for shift := range 3 {
			encoded := encoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + value))
			// Six bits per character: those that hold a bit of what stands before or behind the value are left out.
			low, high := (8*shift+5)/6, 8*(shift+len(value))/6
			forms = append(forms, encoded[low:high], strings.TrimRight(encoded[low:], "="), encoded[low:])
			if shift == 0 {
				forms = append(forms, wrapped(encoded[:high]), wrapped(encoded))
			}
		}
	}
	return forms
}

// wrapped breaks text into lines of 76 characters, as base64(1) does.
func wrapped(text string) string {
	const width = 76
	var out strings.Builder
	for len(text) > width {
		out.WriteString(text[:width] + "\n")
		text = text[width:]
	}
	return out.String() + text
}

// urlForms are value escaped for the query, the path and the user part of a URL, the way Go and browsers do, with hexadecimal
// digits of either case.
func urlForms(value string) []string {
	query := url.QueryEscape(value)
	component := strings.ReplaceAll(query, "+", "%20")
	browser := strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(component)
	user := strings.TrimPrefix(url.UserPassword("", value).String(), ":")
	var forms []string
	for _, form := range []string{query, component, browser, url.PathEscape(value), user} {
		forms = append(forms, form, lowerEscapes(form))
	}
	return forms
}

func lowerEscapes(escaped string) string {
	out := []byte(escaped)
	for i := 0; i+2 < len(out); i++ {
		if out[i] == '%' {
			copy(out[i:], bytes.ToLower(out[i:i+3]))
			i += 2
		}
	}
	return string(out)
}

// jsonForms are value inside a JSON string, with and without the escapes for HTML.
func jsonForms(value string) []string {
	var forms []string
	for _, html := range []bool{true, false} {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(html)
		// A string always encodes.
		_ = encoder.Encode(value)
		quoted := strings.TrimSuffix(out.String(), "\n")
		forms = append(forms, quoted[1:len(quoted)-1])
	}
	return forms
}

// shellForms are value inside single quotes, as bash's trace of every step's script and shlex.quote write it, and inside $'…', as
// bash lists variables with newlines.
func shellForms(value string) []string {
	var ansi strings.Builder
	for _, c := range []byte(value) {
		switch c {
		case '\\', '\'':
			ansi.WriteString(`\` + string(rune(c)))
		default:
			if name := strings.IndexByte("\a\b\x1b\f\n\r\t\v", c); name >= 0 {
				ansi.WriteString(`\` + "abEfnrtv"[name:name+1])
			} else if c < 0x20 || c == 0x7f {
				fmt.Fprintf(&ansi, `\%03o`, c)
			} else {
				ansi.WriteByte(c)
			}
		}
	}
	return []string{
		strings.ReplaceAll(value, `'`, `'\''`),
		strings.ReplaceAll(value, `'`, `'"'"'`),
		ansi.String(),
	}
}
