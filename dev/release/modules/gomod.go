package modules

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// Requirements are a go.mod with its go.sum: which version of which module a build takes. They name all modules of the build, since go.mod lists
// the indirect ones too.
type Requirements struct {
	// Main is the path of the module that go.mod is of.
	Main string

	modules map[string]Module
}

// ReadRequirements reads the contents of go.mod and go.sum.
func ReadRequirements(goMod, goSum []byte) (*Requirements, error) {
	file, err := modfile.Parse("go.mod", goMod, nil)
	if err != nil {
		return nil, err
	}
	if file.Module == nil {
		return nil, fmt.Errorf("go.mod names no module")
	}
	sums, err := readSums(goSum)
	if err != nil {
		return nil, err
	}
	read := &Requirements{Main: file.Module.Mod.Path, modules: make(map[string]Module)}
	for _, require := range file.Require {
		found := Module{Path: require.Mod.Path, Version: require.Mod.Version, Replaced: replacement(file, require.Mod)}
		if !found.Local() {
			path, version := found.Source()
			found.Sum = sums[module.Version{Path: path, Version: version}]
		}
		read.modules[found.Path] = found
	}
	return read, nil
}

// replacement is what go.mod puts in a module's place; one for a version goes before one for all versions.
func replacement(file *modfile.File, mod module.Version) *Replacement {
	var found *Replacement
	for _, replace := range file.Replace {
		if replace.Old.Path != mod.Path || replace.Old.Version != "" && replace.Old.Version != mod.Version {
			continue
		}
		if found == nil || replace.Old.Version != "" {
			found = &Replacement{Path: strings.TrimPrefix(replace.New.Path, "./"), Version: replace.New.Version}
		}
	}
	return found
}

// readSums reads the checksums of modules' sources; those of their go.mod files alone are left out.
func readSums(goSum []byte) (map[module.Version]string, error) {
	sums := make(map[module.Version]string)
	lines := bufio.NewScanner(bytes.NewReader(goSum))
	for number := 1; lines.Scan(); number++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 {
			return nil, fmt.Errorf("go.sum:%d: want module, version and checksum, got %q", number, lines.Text())
		}
		sums[module.Version{Path: words[0], Version: words[1]}] = words[2]
	}
	return sums, lines.Err()
}

// Of names the modules of packages, by path. Packages of the standard library and of the main module are in none of them. A package that no
// required module can hold is an error, and so is a module without a checksum.
func (r *Requirements) Of(packages []string) ([]Module, error) {
	seen := make(map[string]bool)
	var found []Module
	for _, name := range packages {
		holder, ok := r.holder(name)
		if !ok {
			if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") {
				return nil, fmt.Errorf("package %s is of no module that go.mod requires", name)
			}
			continue
		}
		if holder == r.Main || seen[holder] {
			continue
		}
		seen[holder] = true
		module := r.modules[holder]
		if module.Sum == "" && !module.Local() {
			return nil, fmt.Errorf("module %s %s has no checksum in go.sum", module.Path, module.Version)
		}
		found = append(found, module)
	}
	return sorted(found), nil
}

// holder is the module with the longest path that a package's path begins with.
func (r *Requirements) holder(name string) (path string, ok bool) {
	for at := name; ; {
		if _, required := r.modules[at]; required || at == r.Main {
			return at, true
		}
		cut := strings.LastIndexByte(at, '/')
		if cut < 0 {
			return "", false
		}
		at = at[:cut]
	}
}
