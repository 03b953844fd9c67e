package rootfs

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
	"github.com/open-executor/executor/docker-images/debian/internal/definition"
)

// filter says which paths of a set's packages are kept.
type filter struct {
	everywhere, drop, only, privileged []string
	// met are the patterns that something was found for.
	met map[string]bool
}

// newFilter returns the filter of a set; everywhere is what all sets leave out.
func newFilter(everywhere []string, set definition.Set) *filter {
	return &filter{everywhere: everywhere, drop: set.Drop, only: set.Only, privileged: set.Setuid, met: make(map[string]bool)}
}

// wants says whether a path is kept. Copyright files always are, and links among the folders of documentation, since that is how
// packages share one.
func (f *filter) wants(name string, kind deb.Kind) bool {
	if rest, found := strings.CutPrefix(name, "usr/share/doc/"); found && kind != deb.Directory {
		if path.Base(name) == "copyright" && strings.Count(rest, "/") == 1 || kind == deb.Symlink && !strings.Contains(rest, "/") {
			return true
		}
	}
	if covering(f.everywhere, name) != "" || f.meets(f.drop, name) {
		return false
	}
	return len(f.only) == 0 || f.meets(f.only, name)
}

// setuid says whether a program keeps its setuid and setgid bits.
func (f *filter) setuid(name string) bool { return f.meets(f.privileged, name) }

// meets says whether one of the patterns covers the name, and remembers which.
func (f *filter) meets(patterns []string, name string) bool {
	pattern := covering(patterns, name)
	if pattern == "" {
		return false
	}
	f.met[pattern] = true
	return true
}

// unmet is an error for what the set names and none of its packages has: it has moved, or is misspelt.
func (f *filter) unmet() error {
	for _, name := range slices.Concat(f.drop, f.only, f.privileged) {
		if !f.met[name] {
			return fmt.Errorf("no package of the set has %s, which packages.yaml names", name)
		}
	}
	return nil
}

// covering returns the first pattern that covers the name: the name itself, or with a closing slash the folder and all below it.
func covering(patterns []string, name string) string {
	for _, pattern := range patterns {
		if pattern == name || strings.HasSuffix(pattern, "/") && strings.HasPrefix(name+"/", pattern) {
			return pattern
		}
	}
	return ""
}
