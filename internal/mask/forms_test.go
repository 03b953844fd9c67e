package mask

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDerivedForms(t *testing.T) {
	t.Parallel()
	const (
		odd      = `p@ss'w"rd\ <&>+/é?=!(*)`
		key      = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7\nab+c/d==\nshort\n-----END KEY-----\n"
		windows  = "first line\r\nsecond line\r\n"
		indented = "{\n        \"a\": \"value\"\n          }\n"
	)
	tests := map[string]struct{ secret, text, want string }{
		"base64 at the start":       {"p4ssw0rd", "cDRzc3cwcmQ=", "X"},
		"base64 without padding":    {"p4ssw0rd", "cDRzc3cwcmQ", "X"},
		"base64 behind one byte":    {"p4ssw0rd", "OnA0c3N3MHJk", "OnX"},
		"base64 behind two bytes":   {"p4ssw0rd", "dTpwNHNzdzByZA==", "dTpX"},
		"base64 with more behind":   {"p4ssw0rd", "cDRzc3cwcmQtZXRj", "XtZXRj"},
		"base64 of a file":          {"p4ssw0rd", "cDRzc3cwcmQK", "XK"},
		"base64 URL alphabet":       {"\xff\xef\xbe~~~~~", "_---fn5-fn4", "X"},
		"base64 standard alphabet":  {"\xff\xef\xbe~~~~~", "/+++fn5+fn4=", "X"},
		"URL query":                 {odd, "p%40ss%27w%22rd%5C+%3C%26%3E%2B%2F%C3%A9%3F%3D%21%28%2A%29", "X"},
		"URL query, lower case":     {odd, "p%40ss%27w%22rd%5c+%3c%26%3e%2b%2f%c3%a9%3f%3d%21%28%2a%29", "X"},
		"URL component":             {odd, "p%40ss'w%22rd%5C%20%3C%26%3E%2B%2F%C3%A9%3F%3D!(*)", "X"},
		"URL path":                  {odd, "p@ss%27w%22rd%5C%20%3C&%3E+%2F%C3%A9%3F=%21%28%2A%29", "X"},
		"URL user":                  {"pass:w@rd/1$", "https://u:pass%3Aw%40rd%2F1$@host", "https://u:X@host"},
		"JSON for HTML":             {odd, `{"a":"p@ss'w\"rd\\ \u003c\u0026\u003e+/é?=!(*)"}`, `{"a":"X"}`},
		"JSON":                      {odd, `{"a":"p@ss'w\"rd\\ <&>+/é?=!(*)"}`, `{"a":"X"}`},
		"JSON of several lines":     {windows, `"first line\r\nsecond line\r\n"`, `"X"`},
		"shell quote":               {odd, `+ echo 'p@ss'\''w"rd\ <&>+/é?=!(*)'`, `+ echo 'X'`},
		"shell quote of Python":     {odd, `'p@ss'"'"'w"rd\ <&>+/é?=!(*)'`, `'X'`},
		"shell variable":            {"it's\na\ttab\x1b\x01", `v=$'it\'s\na\ttab\E\001'`, `v=$'X'`},
		"one line":                  {key, "got MIIEpAIBAAKCAQEA7.", "got X."},
		"line of eight bytes":       {key, "ab+c/d==", "X"},
		"short line":                {key, "short", "short"},
		"all lines":                 {key, key, "X"},
		"CRLF for LF":               {key, strings.ReplaceAll(key, "\n", "\r\n"), "X"},
		"LF for CRLF":               {windows, "first line\nsecond line\n", "X"},
		"line without CR":           {windows, "second line.", "X."},
		"without the final newline": {"file content\n", "file content", "X"},
		"base64 without newline":    {"file content\n", "ZmlsZSBjb250ZW50", "X"},
		"braces stay":               {indented, "{ }\n          }\n        {", "{ }\n          }\n        {"},
		"other indentation":         {indented, "  \"a\": \"value\"", "  X"},
		"no forms of a short one":   {"a'b c", `YSdiIGM= a%27b+c a'\''b c a'b c`, `YSdiIGM= a%27b+c a'\''b c X`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, New(map[string]string{test.secret: "X"}).String(test.text))
		})
	}
}

func TestWrappedBase64(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("0123456789", 20)
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	text := encoded[:76] + "\n" + encoded[76:152] + "\n" + encoded[152:228] + "\n" + encoded[228:] + "\n"
	require.Equal(t, "X\n", New(map[string]string{secret: "X"}).String(text))
}

// Whatever stands around it, an encoded secret never shows more of itself than the two characters that it shares with its neighbours.
func TestEncodedAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringN(8, 40, 80).Draw(t, "secret")
		before := rapid.String().Draw(t, "before")
		after := rapid.String().Draw(t, "after")
		masker := New(map[string]string{secret: ""})
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
			out := masker.String(encoding.EncodeToString([]byte(before + secret + after)))
			// Two for the shared characters, two for padding.
			most := encoding.EncodedLen(len(before)) + encoding.EncodedLen(len(after)) + 4
			require.LessOrEqual(t, len(out), most, "of %q", out)
		}
		quoted, err := json.Marshal(before + secret + after)
		require.NoError(t, err)
		for text, parts := range map[string][]string{
			string(quoted):                           {string(must(json.Marshal(before))), string(must(json.Marshal(after)))},
			url.QueryEscape(before + secret + after): {url.QueryEscape(before), url.QueryEscape(after)},
			url.PathEscape(before + secret + after):  {url.PathEscape(before), url.PathEscape(after)},
		} {
			require.LessOrEqual(t, len(masker.String(text)), len(parts[0])+len(parts[1]), "of %q", text)
		}
	})
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}
