// Package staging makes the directory that is published: the executors, their checksums, what is in them and where they come from.
package staging

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/open-executor/executor/dev/release/modules"
	"github.com/open-executor/executor/dev/release/provenance"
	"github.com/open-executor/executor/dev/release/sbom"
)

// The names of files, below the directory or below that of a platform.
const (
	programName = "executor"
	sumName     = "executor_SHA256SUM"
	sbomName    = "executor.spdx.json"

	infoName       = "info.txt"
	commitName     = "COMMIT"
	provenanceName = "provenance.json"
	allSumsName    = "SHA256SUMS"
)

// Release is what is published, and what is known of it.
type Release struct {
	Executors []Executor
	// Commit, CommitTime and Version are those that the executors must be of.
	Commit     string
	CommitTime time.Time
	Version    string
	// ModuleDir holds the go.mod and go.sum of the commit.
	ModuleDir string
	// Info is a file for people, published as it is.
	Info string
	// SourceURL, Branch and Tag go into the provenance as they are; each may be empty. Target is what was run.
	SourceURL, Target, Branch, Tag string
	Run                            provenance.Run
}

// Executor is a built program.
type Executor struct {
	// Arch is "amd64" or "arm64".
	Arch string
	// Path is the program's file, Packages a file that lists the import paths of its packages, one a line. The list is needed only for a program that
	// the go command did not build, which names its modules itself.
	Path, Packages string
}

func (e Executor) platform() string { return "linux-" + e.Arch }

// Write fills dir, an existing directory. It refuses executors for another platform, of another version or without one, and says everything that
// is wrong, not only the first. The same release gives the same bytes.
func (r Release) Write(dir string) error {
	requirements, err := r.requirements()
	if err != nil {
		return err
	}
	var built []described
	var failures []error
	for _, executor := range r.Executors {
		one, err := r.stage(executor, requirements, dir)
		built, failures = append(built, one), append(failures, err)
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	info, err := os.ReadFile(r.Info)
	if err != nil {
		return err
	}
	if err := write(dir, infoName, info); err != nil {
		return err
	}
	if err := write(dir, commitName, []byte(r.Commit+"\n")); err != nil {
		return err
	}
	sums, err := r.writeSums(dir)
	if err != nil {
		return err
	}
	return r.writeProvenance(dir, requirements.Main, built, sums)
}

func (r Release) requirements() (*modules.Requirements, error) {
	goMod, err := os.ReadFile(filepath.Join(r.ModuleDir, "go.mod"))
	if err != nil {
		return nil, err
	}
	goSum, err := os.ReadFile(filepath.Join(r.ModuleDir, "go.sum"))
	if err != nil {
		return nil, err
	}
	return modules.ReadRequirements(goMod, goSum)
}

// writeSums writes the checksums of all files that are the same whenever the commit is built. The provenance is not: it names the run. Returned
// are the checksums by name.
func (r Release) writeSums(dir string) (map[string]string, error) {
	names := []string{infoName, commitName}
	for _, executor := range r.Executors {
		for _, name := range []string{programName, sumName, sbomName} {
			names = append(names, executor.platform()+"/"+name)
		}
	}
	slices.Sort(names)
	sums := make(map[string]string)
	var text strings.Builder
	for _, name := range names {
		sum, err := sumOf(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		sums[name] = sum
		text.WriteString(sumLine(sum, name))
	}
	return sums, write(dir, allSumsName, []byte(text.String()))
}

// writeProvenance names the programs as subjects, and what else has a checksum as by-products.
func (r Release) writeProvenance(dir, main string, built []described, sums map[string]string) error {
	facts := provenance.Facts{
		Main: main, Commit: r.Commit, SourceURL: r.SourceURL, Version: r.Version, Target: r.Target,
		Branch: r.Branch, Tag: r.Tag, Run: r.Run,
	}
	subjects := make(map[string]bool)
	for _, one := range built {
		name := one.platform() + "/" + programName
		subjects[name] = true
		facts.Subjects = append(facts.Subjects, resource(name, sums[name]))
		facts.GoVersions = append(facts.GoVersions, one.goVersion)
		facts.Modules = append(facts.Modules, one.modules...)
	}
	for name, sum := range sums {
		if !subjects[name] {
			facts.Byproducts = append(facts.Byproducts, resource(name, sum))
		}
	}
	slices.SortFunc(facts.Byproducts, func(a, b provenance.Resource) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(facts.GoVersions)
	facts.GoVersions = slices.Compact(facts.GoVersions)
	facts.Modules = modules.Union(facts.Modules)
	statement, err := provenance.New(facts)
	if err != nil {
		return err
	}
	return writeJSON(dir, provenanceName, statement)
}

func resource(name, sum string) provenance.Resource {
	return provenance.Resource{Name: name, Digest: map[string]string{"sha256": sum}}
}

func (r Release) writeSBOM(dir, main, sum string, one described) error {
	return writeJSON(dir, one.platform()+"/"+sbomName, sbom.New(sbom.Facts{
		Name: programName, Platform: one.platform(), Version: r.Version, SHA256: sum, Commit: r.Commit, CommitTime: r.CommitTime,
		Main: main, GoVersion: one.goVersion, Modules: one.modules, Origin: one.origin,
	}))
}

func writeJSON(dir, name string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return write(dir, name, append(text, '\n'))
}

func write(dir, name string, content []byte) error {
	return os.WriteFile(filepath.Join(dir, name), content, 0o644)
}
