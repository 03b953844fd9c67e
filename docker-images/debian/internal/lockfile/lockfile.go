// Package lockfile holds what packages.yaml came to on the day it was locked: for one architecture, the exact files of a Debian archive,
// each with its size and SHA-256. Bazel reads the same file (extension.bzl).
package lockfile

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// MaxPackage is the largest package that is locked, in bytes.
	MaxPackage = 256 << 20
	maxFile    = 4 << 20
)

// Archives of Debian. Security updates are in one of their own.
const (
	Main     = "main"
	Security = "security"
)

// Lock is the lock of one architecture.
type Lock struct {
	Suite        string    `json:"suite"`
	Architecture string    `json:"architecture"`
	Packages     []Package `json:"packages"`
}

// Package is one locked file.
type Package struct {
	// Set is the set of packages.yaml whose layer it goes into.
	Set     string `json:"set"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Architecture is the lock's, or all.
	Architecture string `json:"architecture"`
	// Archive is Main or Security; Path is the file's place below it.
	Archive string `json:"archive"`
	Path    string `json:"path"`
	// Size is in bytes.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// String names the package for people.
func (p Package) String() string { return p.Name + " " + p.Version }

// File is the name that a lock has in the folder dir.
func File(dir, architecture string) string {
	return filepath.Join(dir, "lock_"+architecture+".json")
}

// Read reads and checks a lock.
func Read(file string) (*Lock, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	lock, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; write it anew: go run ./docker-images/debian lock", file, err)
	}
	return lock, nil
}

// Parse reads and checks a lock's text.
func Parse(text []byte) (*Lock, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%d bytes; at most %d are allowed", len(text), maxFile)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var lock Lock
	if err := decoder.Decode(&lock); err != nil {
		return nil, err
	}
	seen := make(map[[2]string]bool)
	for _, p := range lock.Packages {
		if err := p.check(lock.Architecture); err != nil {
			return nil, fmt.Errorf("package %s: %w", p, err)
		}
		if key := [2]string{p.Set, p.Name}; seen[key] {
			return nil, fmt.Errorf("package %s stands twice in set %s", p, p.Set)
		} else {
			seen[key] = true
		}
	}
	return &lock, nil
}

func (p Package) check(architecture string) error {
	if p.Set == "" || p.Name == "" || p.Version == "" {
		return fmt.Errorf("set %q, name %q and version %q must all be there", p.Set, p.Name, p.Version)
	}
	if p.Architecture != architecture && p.Architecture != "all" {
		return fmt.Errorf("it is of architecture %q", p.Architecture)
	}
	if p.Archive != Main && p.Archive != Security {
		return fmt.Errorf("archive %q: there are %s and %s", p.Archive, Main, Security)
	}
	if p.Path != path.Clean(p.Path) || !strings.HasPrefix(p.Path, "pool/") || !strings.HasSuffix(p.Path, ".deb") ||
		strings.ContainsAny(p.Path, " ?#\\") {
		return fmt.Errorf("path %q: want one such as pool/main/g/git/git_2.39.5-0+deb12u3_amd64.deb", p.Path)
	}
	if p.Size < 1 || p.Size > MaxPackage {
		return fmt.Errorf("size %d: want 1 to %d bytes", p.Size, MaxPackage)
	}
	if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != 32 || strings.ToLower(p.SHA256) != p.SHA256 {
		return fmt.Errorf("sha256 %q: want 64 small hexadecimal digits", p.SHA256)
	}
	return nil
}

// Of lists the packages of one set, by name.
func (l *Lock) Of(set string) []Package {
	var found []Package
	for _, p := range l.Packages {
		if p.Set == set {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// Bytes is the lock's text: one line for each package, by set and name, so that a change of versions is read line by line.
func (l *Lock) Bytes() ([]byte, error) {
	sorted := slices.Clone(l.Packages)
	slices.SortFunc(sorted, func(a, b Package) int {
		return strings.Compare(a.Set+" "+a.Name, b.Set+" "+b.Name)
	})
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\n  \"suite\": %q,\n  \"architecture\": %q,\n  \"packages\": [", l.Suite, l.Architecture)
	for i, p := range sorted {
		line, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n    ")
		out.Write(line)
	}
	out.WriteString("\n  ]\n}\n")
	if _, err := Parse(out.Bytes()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Write replaces the lock in dir as a whole, and says whether that changed it.
func (l *Lock) Write(dir string) (changed bool, err error) {
	text, err := l.Bytes()
	if err != nil {
		return false, err
	}
	file := File(dir, l.Architecture)
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, text) {
		return false, nil
	}
	partial := file + ".partial"
	if err := os.WriteFile(partial, text, 0o644); err != nil {
		return false, err
	}
	return true, os.Rename(partial, file)
}

// Change is a package that two locks differ in. Old or New is nil for one that came or went.
type Change struct{ Old, New *Package }

// String tells the change in a line.
func (c Change) String() string {
	switch {
	case c.Old == nil:
		return fmt.Sprintf("%s: %s came", c.New.Set, c.New)
	case c.New == nil:
		return fmt.Sprintf("%s: %s went", c.Old.Set, c.Old)
	case c.Old.Version == c.New.Version:
		return fmt.Sprintf("%s: %s has another file, %s/%s", c.New.Set, c.New, c.New.Archive, c.New.Path)
	}
	return fmt.Sprintf("%s: %s became %s", c.New.Set, c.Old, c.New.Version)
}

// Changes lists in what way now differs from before, by set and name.
func Changes(before, now *Lock) []Change {
	type key struct{ set, name string }
	pairs := make(map[key]*Change)
	at := func(p Package) *Change {
		k := key{p.Set, p.Name}
		if pairs[k] == nil {
			pairs[k] = &Change{}
		}
		return pairs[k]
	}
	for _, p := range before.Packages {
		at(p).Old = &p
	}
	for _, p := range now.Packages {
		at(p).New = &p
	}
	var changes []Change
	for _, change := range pairs {
		if change.Old == nil || change.New == nil || *change.Old != *change.New {
			changes = append(changes, *change)
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.String(), b.String()) })
	return changes
}

// ReadOrEmpty is Read, with an empty lock where there is none yet.
func ReadOrEmpty(dir, architecture string) (*Lock, error) {
	lock, err := Read(File(dir, architecture))
	if pathError, ok := err.(*fs.PathError); ok && os.IsNotExist(pathError) {
		return &Lock{Architecture: architecture}, nil
	}
	return lock, err
}
