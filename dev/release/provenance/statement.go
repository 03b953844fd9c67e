package provenance

// The parts of an in-toto statement with SLSA's provenance that are written here; https://in-toto.io/Statement/v1 and
// https://slsa.dev/spec/v1.0/provenance say what each means.

// Statement says of subjects what the predicate says.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     Predicate  `json:"predicate"`
}

// Predicate is how the subjects were built.
type Predicate struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is what went in.
type BuildDefinition struct {
	BuildType            string             `json:"buildType"`
	ExternalParameters   ExternalParameters `json:"externalParameters"`
	ResolvedDependencies []Resource         `json:"resolvedDependencies"`
}

// ExternalParameters are what whoever asked for the build chose; docs/release.md describes them for our build type.
type ExternalParameters struct {
	Source  Resource `json:"source"`
	Target  string   `json:"target"`
	Version string   `json:"version"`
	Branch  string   `json:"branch,omitempty"`
	Tag     string   `json:"tag,omitempty"`
}

// RunDetails are who built it, and when.
type RunDetails struct {
	Builder    Builder    `json:"builder"`
	Metadata   *Metadata  `json:"metadata,omitempty"`
	Byproducts []Resource `json:"byproducts,omitempty"`
}

// Builder is the machinery that ran the build.
type Builder struct {
	ID string `json:"id"`
}

// Metadata names the one run.
type Metadata struct {
	InvocationID string `json:"invocationId"`
}

// Resource is a file, a commit or a module.
type Resource struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	MediaType   string            `json:"mediaType,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}
