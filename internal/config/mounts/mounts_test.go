package mounts_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config/mounts"
)

func TestParseAndString(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec  string
		want  mounts.Mount
		shown string
	}{
		"the type is volume unless given": {
			"target=/x", mounts.Mount{Type: "volume", Target: "/x"}, "type=volume,target=/x"},
		"bind": {
			"type=bind,source=/a,target=/b,readonly", mounts.Mount{Type: "bind", Source: "/a", Target: "/b", ReadOnly: true},
			"type=bind,source=/a,target=/b,readonly"},
		"short names in any case": {
			"TYPE=Bind,SRC=/A,DST=/B,RO=1", mounts.Mount{Type: "bind", Source: "/A", Target: "/B", ReadOnly: true},
			"type=bind,source=/A,target=/B,readonly"},
		"destination, and flags turned off": {
			"type=bind,destination=/b,readonly=false,bind-nonrecursive=0", mounts.Mount{Type: "bind", Target: "/b"}, "type=bind,target=/b"},
		"the last of repeated fields counts": {
			"source=a,source=b,target=/b,ro,ro=f", mounts.Mount{Type: "volume", Source: "b", Target: "/b"}, "type=volume,source=b,target=/b"},
		"relative sources": {
			"type=bind,source=./a/../b,target=/b", mounts.Mount{Type: "bind", Source: "/wd/b", Target: "/b"}, "type=bind,source=/wd/b,target=/b"},
		"the working directory itself": {
			"type=bind,source=.,target=/b", mounts.Mount{Type: "bind", Source: "/wd", Target: "/b"}, "type=bind,source=/wd,target=/b"},
		"a name that begins with a dot stays": {
			"source=.cache,target=/b", mounts.Mount{Type: "volume", Source: ".cache", Target: "/b"}, "type=volume,source=.cache,target=/b"},
		"all options of a bind mount survive": {
			"type=bind,src=/a,dst=/b,bind-nonrecursive,bind-propagation=RShared,consistency=Cached",
			mounts.Mount{Type: "bind", Source: "/a", Target: "/b", Consistency: "cached", BindPropagation: "rshared", BindNonRecursive: true},
			"type=bind,source=/a,target=/b,consistency=cached,bind-propagation=rshared,bind-nonrecursive"},
		"all options of a volume survive": {
			"type=volume,src=v,dst=/b,volume-nocopy=true,volume-label=a=1,volume-label=b,volume-driver=local,volume-opt=type=nfs,volume-opt=o=rw=x,volume-label=a=2",
			mounts.Mount{Type: "volume", Source: "v", Target: "/b", VolumeNoCopy: true, VolumeDriver: "local",
				VolumeLabels: []mounts.Pair{{Key: "a", Value: "2"}, {Key: "b"}}, VolumeOpts: []mounts.Pair{{Key: "type", Value: "nfs"}, {Key: "o", Value: "rw=x"}}},
			"type=volume,source=v,target=/b,volume-nocopy,volume-label=a=2,volume-label=b=,volume-driver=local,volume-opt=type=nfs,volume-opt=o=rw=x"},
		"all options of tmpfs survive": {
			"type=tmpfs,dst=/b,tmpfs-size=1.5g,tmpfs-mode=1770", mounts.Mount{Type: "tmpfs", Target: "/b", TmpfsSize: 3 << 29, TmpfsMode: 0o1770},
			"type=tmpfs,target=/b,tmpfs-size=1610612736,tmpfs-mode=01770"},
		"quoted fields": {
			`type=bind,"source=/a,b","target=/with ""quotes"""`, mounts.Mount{Type: "bind", Source: "/a,b", Target: `/with "quotes"`},
			`type=bind,"source=/a,b","target=/with ""quotes"""`},
		"newer types pass through": {
			"type=image,source=tools,target=/t", mounts.Mount{Type: "image", Source: "tools", Target: "/t"}, "type=image,source=tools,target=/t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mount, err := mounts.Parse(test.spec, "/wd")
			require.NoError(t, err)
			require.Equal(t, test.want, mount)
			require.Equal(t, test.shown, mount.String())
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"":                                                    "target is required",
		"type=bind,source=/a":                                 "target is required",
		"target=":                                             "target is required",
		"bind,target=/b":                                      "invalid field 'bind' must be a key=value pair",
		"target=/b,volume-driver":                             "invalid field 'volume-driver' must be a key=value pair",
		"target=/b,size=3":                                    "unexpected key 'size' in 'size=3'",
		"target=/b, readonly=true":                            "unexpected key ' readonly' in ' readonly=true'",
		"type=disk,target=/b":                                 "invalid value for type: disk",
		"target=/b,RO=maybe":                                  "invalid value for ro: maybe",
		"target=/b,readonly=":                                 "invalid value for readonly: ",
		"target=/b,consistency=x":                             "invalid value for consistency: x",
		"target=/b,volume-nocopy=2":                           "invalid value for volume-nocopy: 2",
		"target=/b,volume-label==x":                           "invalid value for volume-label: =x",
		"target=/b,volume-opt=":                               "invalid value for volume-opt: ",
		"type=bind,target=/b,bind-nonrecursive=x":             "invalid value for bind-nonrecursive: x",
		"type=bind,target=/b,bind-propagation=up":             "invalid value for bind-propagation: up",
		"type=tmpfs,target=/b,tmpfs-size=big":                 "invalid value for tmpfs-size: big",
		"type=tmpfs,target=/b,tmpfs-size=-1":                  "invalid value for tmpfs-size: -1",
		"type=tmpfs,target=/b,tmpfs-mode=999":                 "invalid value for tmpfs-mode: 999",
		"type=tmpfs,target=/b,tmpfs-mode=17777":               "invalid value for tmpfs-mode: 17777",
		"type=bind,target=/b,volume-nocopy":                   "cannot mix 'volume-*' options with mount type 'bind'",
		"type=bind,target=/b,volume-nocopy=false":             "cannot mix 'volume-*' options with mount type 'bind'",
		"target=/b,bind-propagation=shared":                   "cannot mix 'bind-*' options with mount type 'volume'",
		"tmpfs-size=1g,target=/b,type=bind":                   "cannot mix 'tmpfs-*' options with mount type 'bind'",
		"type=tmpfs,target=/b,tmpfs-size=1,bind-nonrecursive": "cannot mix 'bind-*' options with mount type 'tmpfs'",
		`type=bind,"target=/b`:                                "quoted as in CSV",
		"target=/b\ntarget=/c":                                "one line without control characters",
	} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			_, err := mounts.Parse(spec, "/wd")
			require.ErrorContains(t, err, want)
		})
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		list string
		want []string
	}{
		"nothing":             {"", nil},
		"blank":               {" ; ", nil},
		"one":                 {"target=/a", []string{"type=volume,target=/a"}},
		"two, spread out":     {"target=/a ;\n  target=/b ;", []string{"type=volume,target=/a", "type=volume,target=/b"}},
		"paths like keys":     {"type=bind,source=/target=/x,target=/dst=/y", []string{"type=bind,source=/target=/x,target=/dst=/y"}},
		"options like keys":   {"volume-opt=target=x,dst=/a", []string{"type=volume,target=/a,volume-opt=target=x"}},
		"the words elsewhere": {"type=bind,source=/target/dst,target=/destination", []string{"type=bind,source=/target/dst,target=/destination"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := mounts.ParseList(test.list, "/wd")
			require.NoError(t, err)
			var shown []string
			for _, mount := range list {
				shown = append(shown, mount.String())
			}
			require.Equal(t, test.want, shown)
		})
	}
	for list, want := range map[string]string{
		"type=bind,source=/a,target=/b,type=bind,source=/c,DST=/d": "incorrect separator",
		"target=/a:destination=/b":                                 "incorrect separator",
		"target=/a target=/b":                                      "incorrect separator",
		"target=/a;;readonly":                                      "mount 3: target is required",
		"size=1":                                                   "unexpected key",
	} {
		_, err := mounts.ParseList(list, "/wd")
		require.ErrorContains(t, err, want, list)
	}
}

// FuzzRoundTrip checks that nothing of a mount is lost on the way to a command line, and that what is written is what Docker
// reads.
func FuzzRoundTrip(f *testing.F) {
	for _, seed := range []string{
		"target=/x", "type=bind,source=./a,target=/b,readonly,consistency=cached,bind-propagation=slave,bind-nonrecursive",
		"volume-label=a=,volume-label=b=c,volume-opt=o=x,volume-driver=d,volume-nocopy,dst=/v", "type=tmpfs,dst=/t,tmpfs-size=1k,tmpfs-mode=0755",
		`"target=/a,""b""",source= x`, "target=\xff", `target=/a,source=\.`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		first, err := mounts.Parse(spec, "/wd")
		if err != nil {
			return
		}
		second, err := mounts.Parse(first.String(), "/elsewhere")
		require.NoError(t, err, first.String())
		require.Equal(t, first, second)
		require.Equal(t, first.String(), second.String())
	})
}

func FuzzParseList(f *testing.F) {
	f.Add("target=/a;target=/b")
	f.Add(";;\"")
	f.Add("target=/a,dst=/b")
	f.Fuzz(func(t *testing.T, list string) {
		parsed, err := mounts.ParseList(list, "/wd")
		if err != nil {
			require.Empty(t, parsed)
		}
		for _, mount := range parsed {
			require.NotEmpty(t, mount.Target)
			require.NotEmpty(t, mount.Type)
		}
	})
}
