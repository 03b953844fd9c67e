// Package modules names the Go modules that a program was built from, from what the program says or from go.mod and the list of its packages.
package modules

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// Module is a module whose packages went into a program.
type Module struct {
	// Path and Version are those that go.mod requires.
	Path, Version string
	// Sum is the checksum of the source that was used, as in go.sum ("h1:…"); empty for a directory.
	Sum string
	// Replaced is what took the module's place, nil where nothing did.
	Replaced *Replacement
}

// Replacement is another module, or a directory of the repository.
type Replacement struct {
	// Path is a module's, or that of a directory from the repository's root.
	Path string
	// Version is empty for a directory.
	Version string
}

// Local reports whether the source lies in the repository itself.
func (m Module) Local() bool { return m.Replaced != nil && m.Replaced.Version == "" }

// Source is the path and the version of the module that the source is from. For a local module that is none.
func (m Module) Source() (path, version string) {
	switch {
	case m.Local():
		return "", ""
	case m.Replaced != nil:
		return m.Replaced.Path, m.Replaced.Version
	}
	return m.Path, m.Version
}

// FromBuildInfo takes the modules from what the go command wrote into a program, by path.
func FromBuildInfo(info *debug.BuildInfo) ([]Module, error) {
	if info.Main.Path == "" {
		return nil, errors.New("the program names no modules: the go command did not build it")
	}
	var found []Module
	for _, dep := range info.Deps {
		module := Module{Path: dep.Path, Version: dep.Version, Sum: dep.Sum}
		if replacement := dep.Replace; replacement != nil {
			module.Replaced = &Replacement{Path: strings.TrimPrefix(replacement.Path, "./"), Version: replacement.Version}
			module.Sum = replacement.Sum
			if isDirectory(replacement.Path) {
				module.Replaced.Version, module.Sum = "", ""
			}
		}
		if module.Sum == "" && !module.Local() {
			return nil, fmt.Errorf("module %s %s has no checksum in the program's build information", dep.Path, dep.Version)
		}
		found = append(found, module)
	}
	return sorted(found), nil
}

// isDirectory tells a directory from a module's path, as go.mod does.
func isDirectory(path string) bool {
	return strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../") || strings.HasPrefix(path, "/")
}

// Union is every module that is in a list, once, by path.
func Union(list []Module) []Module {
	seen := make(map[string]bool)
	var union []Module
	for _, module := range list {
		if !seen[module.Path] {
			seen[module.Path] = true
			union = append(union, module)
		}
	}
	return sorted(union)
}

func sorted(modules []Module) []Module {
	slices.SortFunc(modules, func(a, b Module) int { return cmp.Compare(a.Path, b.Path) })
	return modules
}
