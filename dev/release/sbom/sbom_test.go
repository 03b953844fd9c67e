package sbom

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/modules"
)

func facts() Facts {
	return Facts{
		Name: "executor", Platform: "linux-amd64", Version: "5.2.0", SHA256: strings.Repeat("0a", 32),
		Commit: strings.Repeat("1b", 20), CommitTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)),
		Main: "example.com/main", GoVersion: "go1.26.8 X:something", Origin: "They are from a test.",
		Modules: []modules.Module{
			{Path: "example.com/Forked", Version: "v1.0.0", Sum: "h1:Zg==", Replaced: &modules.Replacement{Path: "example.com/fork", Version: "v1.0.1+incompatible"}},
			{Path: "example.com/ours", Version: "v0.0.1", Replaced: &modules.Replacement{Path: "third_party/ours"}},
			{Path: "example.com/a_b", Version: "v1.0.0", Sum: "h1:YQ=="},
			{Path: "example.com/a-b", Version: "v1.0.0", Sum: "h1:Yg=="},
		},
	}
}

// decode writes a document and reads it back as whoever knows nothing of its types.
func decode(t *testing.T, document Document) map[string]any {
	t.Helper()
	text, err := json.Marshal(document)
	require.NoError(t, err)
	var decoded map[string]any
	require.NoError(t, json.Unmarshal(text, &decoded))
	return decoded
}

var (
	idPattern      = regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`)
	creatorPattern = regexp.MustCompile(`^(Tool|Organization|Person): .+`)
	purlPattern    = regexp.MustCompile(`^pkg:golang/[^\s@]+@[^\s@]+$`)
)

// TestFollowsTheRules: what the schema of SPDX 2.3 and its text demand of every document.
func TestFollowsTheRules(t *testing.T) {
	t.Parallel()
	document := decode(t, New(facts()))
	require.Equal(t, "SPDX-2.3", document["spdxVersion"])
	require.Equal(t, "CC0-1.0", document["dataLicense"])
	require.Equal(t, "SPDXRef-DOCUMENT", document["SPDXID"])
	require.NotEmpty(t, document["name"])
	namespace, err := url.Parse(document["documentNamespace"].(string))
	require.NoError(t, err)
	require.True(t, namespace.IsAbs())
	require.Empty(t, namespace.Fragment)

	creation := document["creationInfo"].(map[string]any)
	_, err = time.Parse("2006-01-02T15:04:05Z", creation["created"].(string))
	require.NoError(t, err)
	for _, creator := range creation["creators"].([]any) {
		require.Regexp(t, creatorPattern, creator)
	}

	ids := map[string]bool{"SPDXRef-DOCUMENT": true}
	for _, one := range document["packages"].([]any) {
		p := one.(map[string]any)
		id := p["SPDXID"].(string)
		require.Regexp(t, idPattern, id)
		require.False(t, ids[id], "%s is there twice", id)
		ids[id] = true
		require.NotEmpty(t, p["name"])
		require.NotEmpty(t, p["downloadLocation"])
		require.NotContains(t, p["name"], "\n")
		require.Equal(t, false, p["filesAnalyzed"], "else a verification code would be needed")
		require.Contains(t, []string{"APPLICATION", "LIBRARY", "SOURCE"}, p["primaryPackagePurpose"])
		for _, reference := range list(p["externalRefs"]) {
			r := reference.(map[string]any)
			require.Equal(t, "PACKAGE-MANAGER", r["referenceCategory"])
			require.Equal(t, "purl", r["referenceType"])
			require.Regexp(t, purlPattern, r["referenceLocator"])
		}
		for _, checksum := range list(p["checksums"]) {
			c := checksum.(map[string]any)
			require.Equal(t, "SHA256", c["algorithm"])
			require.Regexp(t, `^[0-9a-f]{64}$`, c["checksumValue"])
		}
	}
	described := 0
	for _, one := range document["relationships"].([]any) {
		r := one.(map[string]any)
		require.True(t, ids[r["spdxElementId"].(string)], r)
		require.True(t, ids[r["relatedSpdxElement"].(string)], r)
		require.Contains(t, []string{"DESCRIBES", "DEPENDS_ON", "GENERATED_FROM"}, r["relationshipType"])
		if r["relationshipType"] == "DESCRIBES" {
			described++
		}
	}
	require.Equal(t, 1, described)
	require.Len(t, document["relationships"], len(ids)-1, "every package stands in one")
}

func list(value any) []any {
	if value == nil {
		return nil
	}
	return value.([]any)
}

func byName(document Document) map[string]Package {
	all := make(map[string]Package)
	for _, p := range document.Packages {
		all[p.Name] = p
	}
	return all
}

func TestSaysWhatIsInTheProgram(t *testing.T) {
	t.Parallel()
	document := New(facts())
	require.Contains(t, document.Comment, "They are from a test.")
	require.Equal(t, "2026-01-02T02:04:05Z", document.Creation.Created, "the commit's time, in UTC")
	packages := byName(document)
	require.Len(t, packages, 7)
	require.Equal(t, facts().SHA256, packages["executor"].Checksums[0].Value)
	require.Equal(t, "linux-amd64/executor", packages["executor"].FileName)
	require.Equal(t, facts().Commit, packages["example.com/main"].Version)
	require.Equal(t, "pkg:golang/stdlib@1.26.8", packages["stdlib"].References[0].Locator)
	require.Equal(t, "pkg:golang/example.com/a_b@v1.0.0", packages["example.com/a_b"].References[0].Locator)
}

// What takes a module's place is named, not what isn't in the program.
func TestReplacedModules(t *testing.T) {
	t.Parallel()
	packages := byName(New(facts()))
	require.NotContains(t, packages, "example.com/Forked")
	fork := packages["example.com/fork"]
	require.Equal(t, "v1.0.1+incompatible", fork.Version)
	require.Equal(t, "pkg:golang/example.com/fork@v1.0.1%2Bincompatible", fork.References[0].Locator)
	require.Contains(t, fork.SourceInfo, "in the place of example.com/Forked v1.0.0")

	ours := packages["example.com/ours"]
	require.Empty(t, ours.References, "scanners must not take it for the published module")
	require.Equal(t, facts().Commit, ours.Version)
	require.Contains(t, ours.SourceInfo, "third_party/ours")
}

func TestSameFactsSameDocument(t *testing.T) {
	t.Parallel()
	require.Equal(t, New(facts()), New(facts()))
	other := facts()
	other.SHA256 = strings.Repeat("0b", 32)
	require.NotEqual(t, New(facts()).Namespace, New(other).Namespace)
}
