package oci

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.starlark.net/starlark"
)

func TestMacrosRefuse(t *testing.T) {
	t.Parallel()
	const platform = `os = "linux", architecture = "amd64", `
	for text, want := range map[string]string{
		`oci_image(name = "x", squash = True)`:                            "oci_image //pkg:x: the attribute squash is not supported by the offline rules_oci",
		`oci_image_index(name = "x", images = [], format = "oci")`:        "oci_image_index //pkg:x: the attribute format is not supported",
		`oci_load(name = "x", image = ":i", stamp = 1)`:                   "oci_load //pkg:x: the attribute stamp is not supported",
		`oci_push(name = "x", image = ":i", registry = "r")`:              "oci_push //pkg:x: the attribute registry is not supported",
		`oci_image(name = "x", ` + platform + `env = ["A=b"])`:            "oci_image //pkg:x: env must be a dict or a file, not a list",
		`oci_image(name = "x", ` + platform + `labels = ["a"])`:           "//pkg:x: labels must be a dict or a file, not a list",
		`oci_image(name = "x", ` + platform + `cmd = {"a": "b"})`:         "//pkg:x: cmd must be a list or a file, not a dict",
		`oci_image(name = "x", ` + platform + `created = ["now"])`:        "//pkg:x: created must be a file, not a list",
		`oci_image(name = "x", ` + platform + `volumes = {"a": "b"})`:     "//pkg:x: volumes must be a list or a file, not a dict",
		`oci_image(name = "x", ` + platform + `env = {"A": "b\nc"})`:      `//pkg:x: env: "b\nc" has a newline in it`,
		`oci_image(name = "x", ` + platform + `exposed_ports = ["80\n"])`: `//pkg:x: exposed_ports: "80\n" has a newline in it`,
		`oci_image(name = "x", ` + platform + `env = {"A": select({})})`:  "//pkg:x: env: a struct stands where a string must",
		`oci_image(name = "x", ` + platform + `entrypoint = [None])`:      "//pkg:x: entrypoint: a NoneType stands where a string must",
		`oci_image_index(name = "x", images = [], annotations = ["a"])`:   "//pkg:x: annotations must be a dict or a file, not a list",
		`oci_push(name = "x", image = ":i", remote_tags = ["a b"])`:       `oci_push //pkg:x: remote_tags: "a b" has a space in it`,
		`oci_load(name = "x", image = ":i", repo_tags = ["a", "b\n"])`:    `oci_load //pkg:x: repo_tags: "b\n" has a newline in it`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			b := &bazel{}
			require.ErrorContains(t, b.build(t, text), want)
			require.Empty(t, b.calls, "no target is made")
		})
	}
}

// The texts are what the real macros write into files.
func TestListsAndDictsBecomeTexts(t *testing.T) {
	t.Parallel()
	b := &bazel{}
	require.NoError(t, b.build(t, `
oci_image(
    name = "image",
    os = "linux",
    architecture = "amd64",
    annotations = {"a": "b=c", "d": 1},
    cmd = ["a", "b\nc", ""],
    entrypoint = [],
    env = {},
    exposed_ports = ["80/tcp", 90],
    labels = ":labels",
    volumes = select({}),
    tags = ["manual"],
    visibility = ["//visibility:public"],
)
`))
	require.Len(t, b.calls, 2)
	image := b.calls[0].attributes
	require.Equal(t, `{"annotations": "a=b=c\nd=1", "cmd": "a\nb%5Cnc\n", "entrypoint": "", "env": "", "exposed_ports": "80/tcp,90"}`, image["texts"].String())
	require.Equal(t, `":labels"`, image["labels"].String(), "a file stays a file")
	require.Contains(t, image, "volumes", "so does a choice between files")
	for _, moved := range []string{"annotations", "cmd", "entrypoint", "env", "exposed_ports"} {
		require.NotContains(t, image, moved)
	}
	require.Equal(t, "filegroup", b.calls[1].kind)
	digest := b.calls[1].attributes
	require.Equal(t, `"image.digest"`, digest["name"].String())
	require.Equal(t, `["manual"]`, digest["tags"].String())
	require.Equal(t, `["//visibility:public"]`, digest["visibility"].String())
}

func TestTagsMayBeListsOrFiles(t *testing.T) {
	t.Parallel()
	b := &bazel{}
	require.NoError(t, b.build(t, `
oci_load(name = "load", image = ":image", repo_tags = ["a:b"])
oci_load(name = "load_file", image = ":image", repo_tags = ":tags")
oci_push(name = "push", image = ":image", repository = "r")
oci_image_index(name = "index", images = [":image"], annotations = {"a": "b"})
`))
	require.Equal(t, `["a:b"]`, b.calls[0].attributes["words"].String())
	require.NotContains(t, b.calls[0].attributes, "repo_tags")
	require.Equal(t, `":tags"`, b.calls[1].attributes["repo_tags"].String())
	require.NotContains(t, b.calls[2].attributes, "words")
	require.Equal(t, `{"annotations": "a=b"}`, b.calls[3].attributes["texts"].String())
	require.Equal(t, `"index.digest"`, b.calls[4].attributes["name"].String())
}

// imageAttributes are an oci_image's with what differs.
func imageAttributes(more map[string]starlark.Value) map[string]starlark.Value {
	attributes := map[string]starlark.Value{"base": starlark.None, "tars": list(), "texts": dict(nil)}
	for _, name := range []string{"annotations", "cmd", "created", "entrypoint", "env", "exposed_ports", "labels", "volumes"} {
		attributes[name] = starlark.None
	}
	for _, name := range []string{"os", "architecture", "variant", "user", "workdir"} {
		attributes[name] = starlark.String("")
	}
	for name, value := range more {
		attributes[name] = value
	}
	return attributes
}

func TestCommandLineOfAnImage(t *testing.T) {
	t.Parallel()
	b := &bazel{}
	require.NoError(t, b.implement(t, "private/image.bzl", "image_rule", b.ctx(imageAttributes(map[string]starlark.Value{
		"os": starlark.String("linux"), "architecture": starlark.String("arm64"), "variant": starlark.String("v8"), "user": starlark.String("1000"),
		"workdir": starlark.String("/srv"), "labels": fakeFile("labels.txt"), "texts": dict(map[string]string{"env": "A=b\nC=d"}),
		"tars": list(fakeFile("one.tar.gz"), fakeFile("two.tar.gz")),
	}))))
	require.Equal(t, [][]string{{
		"describe", "--target=//pkg:one.tar.gz", "--layer=bin/one.tar.gz", "--out=bin/target.layer0.json",
	}, {
		"describe", "--target=//pkg:two.tar.gz", "--layer=bin/two.tar.gz", "--out=bin/target.layer1.json",
	}, {
		"image", "--target=//pkg:target", "--out=bin/target", "--digest=bin/target.json.sha256",
		"--text=env:A=b\nC=d", "--text-file=labels:bin/labels.txt",
		"--os=linux", "--architecture=arm64", "--variant=v8", "--user=1000", "--workdir=/srv",
		"--layer=bin/one.tar.gz", "--layer-from=//pkg:one.tar.gz", "--layer-description=bin/target.layer0.json",
		"--layer=bin/two.tar.gz", "--layer-from=//pkg:two.tar.gz", "--layer-description=bin/target.layer1.json",
	}}, b.runs)
}

func TestImagesRefuse(t *testing.T) {
	t.Parallel()
	linux := starlark.String("linux")
	for want, attributes := range map[string]map[string]starlark.Value{
		"//pkg:target: os and architecture must be given where base is not":     {"os": linux},
		"//pkg:target: os comes from base and can't be given as well":           {"base": fakeFile("base"), "os": linux},
		"//pkg:target: architecture comes from base and can't be given as well": {"base": fakeFile("base"), "architecture": linux},
		"//pkg:target: variant comes from base and can't be given as well":      {"base": fakeFile("base"), "variant": linux},
	} {
		b := &bazel{}
		require.ErrorContains(t, b.implement(t, "private/image.bzl", "image_rule", b.ctx(imageAttributes(attributes))), want)
		require.Empty(t, b.runs)
	}
}

func TestIndexes(t *testing.T) {
	t.Parallel()
	attributes := map[string]starlark.Value{
		"annotations": starlark.None, "texts": dict(map[string]string{"annotations": "a=b"}), "platforms": list(), "images": list(fakeFile("one"), fakeFile("two")),
	}
	b := &bazel{}
	require.NoError(t, b.implement(t, "private/image_index.bzl", "image_index_rule", b.ctx(attributes)))
	require.Equal(t, []string{
		"index", "--target=//pkg:target", "--out=bin/target", "--digest=bin/target.json.sha256", "--text=annotations:a=b", "--image=bin/one", "--image=bin/two",
	}, b.runs[0])

	attributes["platforms"] = list(starlark.String("amd64"))
	b = &bazel{}
	err := b.implement(t, "private/image_index.bzl", "image_index_rule", b.ctx(attributes))
	require.ErrorContains(t, err, "//pkg:target: images must be one image where platforms are given")
}
