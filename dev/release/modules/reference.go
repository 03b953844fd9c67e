package modules

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// PackageURL is the name of a version of a module in the package-url scheme, whose golang type is written in lower case.
func PackageURL(path, version string) string {
	words := strings.Split(strings.ToLower(path), "/")
	for i, word := range words {
		words[i] = url.PathEscape(word)
	}
	// url.PathEscape leaves the plus of "+incompatible" alone; a package-url doesn't.
	return "pkg:golang/" + strings.Join(words, "/") + "@" + strings.ReplaceAll(url.PathEscape(version), "+", "%2B")
}

// DirHash is a checksum as in go.sum ("h1:" and base64) in hexadecimal digits, as in-toto's digest "dirHash".
func DirHash(sum string) (string, error) {
	encoded, ok := strings.CutPrefix(sum, "h1:")
	if !ok {
		return "", fmt.Errorf(`checksum %q does not begin with "h1:"`, sum)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", fmt.Errorf("checksum %q: %w", sum, err)
	}
	return hex.EncodeToString(raw), nil
}
