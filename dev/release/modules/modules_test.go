package modules

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

const goMod = `module example.com/main

go 1.26.0

replace (
	example.com/forked => example.com/fork v1.0.1
	example.com/ours => ./third_party/ours
	example.com/once v1.0.0 => example.com/once v1.0.9
	example.com/once => example.com/never v9.0.0
)

require (
	example.com/forked v1.0.0
	example.com/once v1.0.0
	example.com/ours v0.0.1
	example.com/outer v1.2.3
	example.com/outer/inner/v2 v2.0.0
	example.com/unsummed v1.0.0
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
`

const goSum = `example.com/fork v1.0.1 h1:Zm9yaw==
example.com/fork v1.0.1/go.mod h1:eA==
example.com/once v1.0.9 h1:b25jZQ==

example.com/outer v1.2.3 h1:b3V0ZXI=
example.com/outer v1.2.2 h1:b2xk
example.com/outer/inner/v2 v2.0.0 h1:aW5uZXI=
example.com/unsummed v1.0.0/go.mod h1:eA==
gopkg.in/yaml.v3 v3.0.1 h1:eWFtbA==
`

func requirements(t *testing.T) *Requirements {
	t.Helper()
	read, err := ReadRequirements([]byte(goMod), []byte(goSum))
	require.NoError(t, err)
	require.Equal(t, "example.com/main", read.Main)
	return read
}

func TestModulesOfPackages(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct {
		packages []string
		want     []Module
	}{
		"none":               {nil, nil},
		"our own":            {[]string{"example.com/main", "example.com/main/internal/x"}, nil},
		"standard library":   {[]string{"fmt", "net/http", "crypto/internal/fips140"}, nil},
		"by the longest":     {[]string{"example.com/outer/inner/v2/x"}, []Module{{Path: "example.com/outer/inner/v2", Version: "v2.0.0", Sum: "h1:aW5uZXI="}}},
		"the root":           {[]string{"gopkg.in/yaml.v3"}, []Module{{Path: "gopkg.in/yaml.v3", Version: "v3.0.1", Sum: "h1:eWFtbA=="}}},
		"a directory":        {[]string{"example.com/ours"}, []Module{{Path: "example.com/ours", Version: "v0.0.1", Replaced: &Replacement{Path: "third_party/ours"}}}},
		"a fork":             {[]string{"example.com/forked/x"}, []Module{{Path: "example.com/forked", Version: "v1.0.0", Sum: "h1:Zm9yaw==", Replaced: &Replacement{"example.com/fork", "v1.0.1"}}}},
		"a version replaced": {[]string{"example.com/once"}, []Module{{Path: "example.com/once", Version: "v1.0.0", Sum: "h1:b25jZQ==", Replaced: &Replacement{"example.com/once", "v1.0.9"}}}},
		"each once, by path": {
			[]string{"gopkg.in/yaml.v3", "example.com/outer/b", "example.com/outer/a", "example.com/outer/inner"},
			[]Module{{Path: "example.com/outer", Version: "v1.2.3", Sum: "h1:b3V0ZXI="}, {Path: "gopkg.in/yaml.v3", Version: "v3.0.1", Sum: "h1:eWFtbA=="}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := requirements(t).Of(check.packages)
			require.NoError(t, err)
			require.Equal(t, check.want, got)
		})
	}
}

func TestRefusesPackagesOfNoModule(t *testing.T) {
	t.Parallel()
	_, err := requirements(t).Of([]string{"fmt", "example.org/unknown/x"})
	require.EqualError(t, err, "package example.org/unknown/x is of no module that go.mod requires")
	_, err = requirements(t).Of([]string{"example.com/unsummed"})
	require.EqualError(t, err, "module example.com/unsummed v1.0.0 has no checksum in go.sum")
}

func TestRefusesBrokenFiles(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]struct{ mod, sum, want string }{
		"go.mod":    {"module", "", "go.mod:1"},
		"no module": {"go 1.26\n", "", "go.mod names no module"},
		"go.sum":    {"module x\n", "\na v1\n", `go.sum:2: want module, version and checksum, got "a v1"`},
	} {
		_, err := ReadRequirements([]byte(check.mod), []byte(check.sum))
		require.ErrorContains(t, err, check.want, name)
	}
}

func TestModulesOfBuildInfo(t *testing.T) {
	t.Parallel()
	got, err := FromBuildInfo(&debug.BuildInfo{
		Main: debug.Module{Path: "example.com/main"},
		Deps: []*debug.Module{
			{Path: "z", Version: "v1.0.0", Sum: "h1:eg=="},
			{Path: "forked", Version: "v1.0.0", Replace: &debug.Module{Path: "fork", Version: "v1.0.1", Sum: "h1:Zg=="}},
			{Path: "ours", Version: "v0.0.1", Replace: &debug.Module{Path: "./third_party/ours", Version: "(devel)"}},
		},
	})
	require.NoError(t, err)
	require.Equal(t, []Module{
		{Path: "forked", Version: "v1.0.0", Sum: "h1:Zg==", Replaced: &Replacement{"fork", "v1.0.1"}},
		{Path: "ours", Version: "v0.0.1", Replaced: &Replacement{Path: "third_party/ours"}},
		{Path: "z", Version: "v1.0.0", Sum: "h1:eg=="},
	}, got)
	require.True(t, got[1].Local())
	path, version := got[0].Source()
	require.Equal(t, "fork v1.0.1", path+" "+version)

	_, err = FromBuildInfo(&debug.BuildInfo{})
	require.ErrorContains(t, err, "the program names no modules")
	_, err = FromBuildInfo(&debug.BuildInfo{Main: debug.Module{Path: "m"}, Deps: []*debug.Module{{Path: "a", Version: "v1.0.0"}}})
	require.ErrorContains(t, err, "module a v1.0.0 has no checksum")
}

func TestUnion(t *testing.T) {
	t.Parallel()
	require.Equal(t, []Module{{Path: "a"}, {Path: "b"}}, Union([]Module{{Path: "b"}, {Path: "a"}, {Path: "b"}}))
}

func TestPackageURL(t *testing.T) {
	t.Parallel()
	for want, of := range map[string][2]string{
		"pkg:golang/github.com/masterminds/semver/v3@v3.5.0": {"github.com/Masterminds/semver/v3", "v3.5.0"},
		"pkg:golang/example.com/old@v2.0.0%2Bincompatible":   {"example.com/old", "v2.0.0+incompatible"},
		"pkg:golang/gopkg.in/~a%20b@v1.0.0-rc.1":             {"gopkg.in/~a b", "v1.0.0-rc.1"},
	} {
		require.Equal(t, want, PackageURL(of[0], of[1]))
	}
}

// The example of in-toto's specification of digests.
func TestDirHash(t *testing.T) {
	t.Parallel()
	got, err := DirHash("h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48=")
	require.NoError(t, err)
	require.Equal(t, "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f", got)
	_, err = DirHash("go.sum")
	require.ErrorContains(t, err, `does not begin with "h1:"`)
	_, err = DirHash("h1:?")
	require.ErrorContains(t, err, "illegal base64")
}
