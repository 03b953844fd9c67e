// Package provenance writes where published files come from, as an in-toto statement with a predicate of SLSA provenance v1. Statements are
// not signed: they say what the run knew, and whoever needs proof signs them or has them signed.
package provenance

import (
	"fmt"
	"strings"

	"github.com/open-executor/executor/dev/release/modules"
)

// Facts are all that the statement is made from. The same facts make the same statement.
type Facts struct {
	// Main is the path of the main module, which names the build type.
	Main string
	// Commit is the source's; SourceURL is where it is fetched from, empty when that is nowhere others can reach.
	Commit, SourceURL string
	// Version was stamped into the programs; Target is what was run to build and publish them.
	Version, Target string
	// Branch and Tag are what the run was asked to build, where it knew.
	Branch, Tag string
	// GoVersions are the toolchains of the programs.
	GoVersions []string
	// Modules went into the programs.
	Modules []modules.Module
	// Run is the run of continuous integration.
	Run Run
	// Subjects are the programs, Byproducts what else was published with them.
	Subjects, Byproducts []Resource
}

// New makes the statement.
func New(facts Facts) (Statement, error) {
	dependencies, err := dependencies(facts)
	if err != nil {
		return Statement{}, err
	}
	statement := Statement{
		Type:          "https://in-toto.io/Statement/v1",
		Subject:       facts.Subjects,
		PredicateType: "https://slsa.dev/provenance/v1",
		Predicate: Predicate{
			BuildDefinition: BuildDefinition{
				BuildType: page(facts.Main, "build-type-1"),
				ExternalParameters: ExternalParameters{
					Source: source(facts), Target: facts.Target, Version: facts.Version, Branch: facts.Branch, Tag: facts.Tag,
				},
				ResolvedDependencies: dependencies,
			},
			RunDetails: RunDetails{Builder: Builder{ID: facts.Run.Builder}, Byproducts: facts.Byproducts},
		},
	}
	if facts.Run.Builder == "" {
		statement.Predicate.RunDetails.Builder.ID = page(facts.Main, "no-known-builder")
	}
	if facts.Run.URL != "" {
		statement.Predicate.RunDetails.Metadata = &Metadata{InvocationID: facts.Run.URL}
	}
	return statement, nil
}

// page is a heading of the page that describes releases.
func page(main, heading string) string {
	return "https://" + main + "/blob/main/docs/release.md#" + heading
}

func source(facts Facts) Resource {
	resource := Resource{Name: facts.Main, Digest: map[string]string{"gitCommit": facts.Commit}}
	if facts.SourceURL != "" {
		resource.URI = "git+" + facts.SourceURL
	}
	return resource
}

// dependencies are the source, the toolchains and the modules.
func dependencies(facts Facts) ([]Resource, error) {
	all := []Resource{source(facts)}
	for _, version := range facts.GoVersions {
		toolchain, _, _ := strings.Cut(version, " ")
		all = append(all, Resource{Name: "go", URI: "pkg:generic/go@" + strings.TrimPrefix(toolchain, "go"), Annotations: map[string]string{"version": version}})
	}
	for _, module := range facts.Modules {
		if module.Local() {
			continue // its bytes are the source's
		}
		path, version := module.Source()
		hash, err := modules.DirHash(module.Sum)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", module.Path, err)
		}
		all = append(all, Resource{Name: path, URI: modules.PackageURL(path, version), Digest: map[string]string{"dirHash": hash}})
	}
	return all, nil
}
