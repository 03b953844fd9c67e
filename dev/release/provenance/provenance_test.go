package provenance

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/modules"
)

func facts() Facts {
	sum := func(digits string) map[string]string { return map[string]string{"sha256": strings.Repeat(digits, 32)} }
	return Facts{
		Main: "example.com/main", Commit: strings.Repeat("1b", 20), SourceURL: "https://example.com/main.git",
		Version: "5.2.0", Target: "//cmd/executor:binary.push", Branch: "main", GoVersions: []string{"go1.26.8 X:something"},
		Modules: []modules.Module{
			{Path: "example.com/Dep", Version: "v1.2.3", Sum: "h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="},
			{Path: "example.com/ours", Version: "v0.0.1", Replaced: &modules.Replacement{Path: "third_party/ours"}},
		},
		Run:        Run{Builder: "https://buildkite.com/org/pipeline", URL: "https://buildkite.com/org/pipeline/builds/7"},
		Subjects:   []Resource{{Name: "linux-amd64/executor", Digest: sum("0a")}, {Name: "linux-arm64/executor", Digest: sum("0b")}},
		Byproducts: []Resource{{Name: "info.txt", Digest: sum("0c")}},
	}
}

func statement(t *testing.T, facts Facts) map[string]any {
	t.Helper()
	made, err := New(facts)
	require.NoError(t, err)
	text, err := json.Marshal(made)
	require.NoError(t, err)
	var decoded map[string]any
	require.NoError(t, json.Unmarshal(text, &decoded))
	return decoded
}

// TestFollowsTheRules: what the specifications of the statement and of the predicate demand.
func TestFollowsTheRules(t *testing.T) {
	t.Parallel()
	bare := facts()
	bare.SourceURL, bare.Run, bare.Branch, bare.Byproducts = "", Run{}, "", nil
	for name, facts := range map[string]Facts{"full": facts(), "bare": bare} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decoded := statement(t, facts)
			require.Equal(t, "https://in-toto.io/Statement/v1", decoded["_type"])
			require.Equal(t, "https://slsa.dev/provenance/v1", decoded["predicateType"])
			names := make(map[string]bool)
			for _, subject := range decoded["subject"].([]any) {
				resource(t, subject)
				s := subject.(map[string]any)
				require.Regexp(t, `^[0-9a-f]{64}$`, s["digest"].(map[string]any)["sha256"], "every subject has a digest")
				names[s["name"].(string)] = true
			}
			require.Len(t, names, 2, "names differ")

			predicate := decoded["predicate"].(map[string]any)
			definition := predicate["buildDefinition"].(map[string]any)
			uri(t, definition["buildType"])
			resource(t, definition["externalParameters"].(map[string]any)["source"])
			for _, dependency := range definition["resolvedDependencies"].([]any) {
				resource(t, dependency)
			}
			details := predicate["runDetails"].(map[string]any)
			uri(t, details["builder"].(map[string]any)["id"])
			if byproducts, ok := details["byproducts"]; ok {
				for _, one := range byproducts.([]any) {
					resource(t, one)
				}
			}
		})
	}
}

// resource: at least one of uri, digest and content must be there; digests are lower-case hexadecimal.
func resource(t *testing.T, value any) {
	t.Helper()
	fields := value.(map[string]any)
	require.True(t, fields["uri"] != nil || fields["digest"] != nil || fields["content"] != nil, fields)
	if fields["uri"] != nil {
		uri(t, fields["uri"])
	}
	if digests, ok := fields["digest"].(map[string]any); ok {
		require.NotEmpty(t, digests)
		for _, digest := range digests {
			require.Regexp(t, `^([0-9a-f]{2})+$`, digest)
		}
	}
}

func uri(t *testing.T, value any) {
	t.Helper()
	parsed, err := url.Parse(value.(string))
	require.NoError(t, err)
	require.True(t, parsed.IsAbs(), value)
}

func TestSaysWhatWentIn(t *testing.T) {
	t.Parallel()
	made, err := New(facts())
	require.NoError(t, err)
	definition := made.Predicate.BuildDefinition
	source := Resource{Name: "example.com/main", URI: "git+https://example.com/main.git", Digest: map[string]string{"gitCommit": facts().Commit}}
	require.Equal(t, ExternalParameters{Source: source, Target: "//cmd/executor:binary.push", Version: "5.2.0", Branch: "main"}, definition.ExternalParameters)
	require.Equal(t, []Resource{
		source,
		{Name: "go", URI: "pkg:generic/go@1.26.8", Annotations: map[string]string{"version": "go1.26.8 X:something"}},
		{
			Name: "example.com/Dep", URI: "pkg:golang/example.com/dep@v1.2.3",
			Digest: map[string]string{"dirHash": "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f"},
		},
	}, definition.ResolvedDependencies)
	require.Equal(t, facts().Run.URL, made.Predicate.RunDetails.Metadata.InvocationID)
	require.Equal(t, facts().Subjects, made.Subject)

	broken := facts()
	broken.Modules[0].Sum = "h2:x"
	_, err = New(broken)
	require.ErrorContains(t, err, "module example.com/Dep: checksum")
}

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		environment map[string]string
		want        Run
	}{
		"a machine": {map[string]string{"BUILDKITE_BUILD_URL": "https://buildkite.com/x"}, Run{}},
		"Buildkite": {
			map[string]string{
				"BUILDKITE": "true", "BUILDKITE_ORGANIZATION_SLUG": "org", "BUILDKITE_PIPELINE_SLUG": "pipe",
				"BUILDKITE_BUILD_URL": "https://user:secret@buildkite.com/org/pipe/builds/7?token=secret#secret",
			},
			Run{Builder: "https://buildkite.com/org/pipe", URL: "https://buildkite.com/org/pipe/builds/7"},
		},
		"GitHub Actions": {
			map[string]string{
				"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "5", "GITHUB_RUN_ATTEMPT": "2",
			},
			Run{Builder: "https://github.com/a/b/actions", URL: "https://github.com/a/b/actions/runs/5/attempts/2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, check.want, FromEnvironment(func(name string) string { return check.environment[name] }))
		})
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://github.com/a/b.git":                  "https://github.com/a/b.git",
		"https://x-access-token:ghs_1@github.com/a/b": "https://github.com/a/b",
		"https://token@host:8443/a?private_token=x#y": "https://host:8443/a",
		"git@github.com:a/b.git":                      "ssh://github.com/a/b.git",
		"host:/srv/git/a.git":                         "ssh://host/srv/git/a.git",
		"ssh://git@host:2222/a.git":                   "ssh://host:2222/a.git",
		"/srv/git/a.git":                              "",
		"../a.git":                                    "",
		"./a:b":                                       "",
		"file:///srv/git/a.git":                       "",
		"ext::sh -c date":                             "",
		"":                                            "",
		"https://":                                    "",
		"https://[broken/":                            "",
	} {
		require.Equal(t, want, PublicURL(text), text)
	}
}
