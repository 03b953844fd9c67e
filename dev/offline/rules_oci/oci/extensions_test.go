package oci

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.starlark.net/starlark"
)

// pulled runs the extension with one oci.pull and returns the repositories that it makes, by name.
func pulled(t *testing.T, tag map[string]starlark.Value) (map[string]map[string]starlark.Value, error) {
	t.Helper()
	members := map[string]starlark.Value{"platforms": list()}
	for _, name := range []string{"name", "image", "registry", "repository", "digest", "tag"} {
		members[name] = starlark.String("")
	}
	for name, value := range tag {
		members[name] = value
	}
	toolchains := record(map[string]starlark.Value{"name": starlark.String("oci")})
	module := record(map[string]starlark.Value{"tags": record(map[string]starlark.Value{
		"pull": list(record(members)), "toolchains": list(toolchains, toolchains),
	})})
	b := &bazel{}
	err := b.implement(t, "extensions.bzl", "oci", record(map[string]starlark.Value{"modules": list(module)}))
	made := make(map[string]map[string]starlark.Value)
	for _, c := range b.calls {
		made[string(c.attributes["name"].(starlark.String))] = c.attributes
	}
	return made, err
}

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestPullsMakeARepositoryForEachPlatform(t *testing.T) {
	t.Parallel()
	made, err := pulled(t, map[string]starlark.Value{
		"name": starlark.String("debian"), "image": starlark.String("docker.io/library/debian"), "digest": starlark.String(digest), "tag": starlark.String("12"),
		"platforms": list(starlark.String("linux/amd64"), starlark.String("linux/arm64/v8"), starlark.String("linux/riscv64")),
	})
	require.NoError(t, err)
	require.Len(t, made, 6)
	require.Contains(t, made, "oci_crane_toolchains")
	require.Contains(t, made, "oci_regctl_toolchains")
	arm64 := made["debian_linux_arm64_v8"]
	require.Equal(t, `"linux/arm64/v8"`, arm64["platform"].String())
	require.Equal(t, `"`+digest+`"`, arm64["digest"].String())
	require.Equal(t, `"docker.io/library/debian@`+digest+`"`, arm64["reference"].String())
	require.Equal(t, `{"@platforms//cpu:x86_64": "@debian_linux_amd64", "@platforms//cpu:arm64": "@debian_linux_arm64_v8"}`, made["debian"]["platforms"].String())
	require.Contains(t, made, "debian_linux_riscv64")
}

func TestPullsWithoutPlatforms(t *testing.T) {
	t.Parallel()
	for reference, tag := range map[string]map[string]starlark.Value{
		"example.com/x@" + digest: {"image": starlark.String("example.com/x@" + digest)},
		"example.com/y:1":         {"registry": starlark.String("example.com"), "repository": starlark.String("y"), "tag": starlark.String("1")},
	} {
		tag["name"] = starlark.String("base")
		made, err := pulled(t, tag)
		require.NoError(t, err)
		require.Len(t, made, 4)
		require.Equal(t, `"`+reference+`"`, made["base_single"]["reference"].String())
		require.Equal(t, strings.Contains(reference, "@"), made["base_single"]["digest"].String() == `"`+digest+`"`)
		require.Equal(t, `"base_single"`, made["base"]["single"].String())
	}
}

func TestPullsThatAreRefused(t *testing.T) {
	t.Parallel()
	for want, tag := range map[string]map[string]starlark.Value{
		"oci.pull x: give either image, or registry and repository": {"registry": starlark.String("r")},
		"oci.pull y: give either image, or registry and repository": {"image": starlark.String("i"), "registry": starlark.String("r"), "repository": starlark.String("p")},
		"oci.pull z: platforms: none of plan9/mips is known":        {"image": starlark.String("i"), "platforms": list(starlark.String("plan9/mips"))},
	} {
		tag["name"] = starlark.String(strings.TrimSuffix(strings.Fields(want)[1], ":"))
		_, err := pulled(t, tag)
		require.ErrorContains(t, err, want)
	}
}

// repository runs a repository rule with OCI_OFFLINE_IMAGES set to folder, in which the layouts named are, and returns its BUILD file and its links.
func repository(t *testing.T, rule string, attributes map[string]starlark.Value, folder string, layouts ...string) (build string, links []string, err error) {
	t.Helper()
	pathOf := func(path string) starlark.Value {
		there := false
		for _, layout := range layouts {
			there = there || path == layout
		}
		return record(map[string]starlark.Value{
			"get_child": function("get_child", func(args starlark.Tuple, _ map[string]starlark.Value) (starlark.Value, error) {
				return record(map[string]starlark.Value{"path": starlark.String(path + "/" + text(args[0])), "exists": starlark.Bool(there)}), nil
			}),
			"path": starlark.String(path),
		})
	}
	rctx := record(map[string]starlark.Value{
		"attr": record(attributes),
		"file": function("file", func(args starlark.Tuple, _ map[string]starlark.Value) (starlark.Value, error) {
			require.Equal(t, "BUILD.bazel", text(args[0]))
			build = text(args[1])
			return starlark.None, nil
		}),
		"getenv": function("getenv", func(args starlark.Tuple, _ map[string]starlark.Value) (starlark.Value, error) {
			require.Equal(t, "OCI_OFFLINE_IMAGES", text(args[0]))
			return starlark.String(folder), nil
		}),
		"path": function("path", func(args starlark.Tuple, _ map[string]starlark.Value) (starlark.Value, error) {
			return pathOf(text(args[0])), nil
		}),
		"symlink": function("symlink", func(args starlark.Tuple, _ map[string]starlark.Value) (starlark.Value, error) {
			links = append(links, text(args[0])+" as "+text(args[1]))
			return starlark.None, nil
		}),
		"watch": nothing("watch"),
	})
	b := &bazel{}
	err = b.implement(t, "extensions.bzl", rule, rctx)
	return build, links, err
}

func TestImagesComeFromTheFolder(t *testing.T) {
	t.Parallel()
	attributes := map[string]starlark.Value{
		"target": starlark.String("debian_linux_amd64"), "pull": starlark.String("debian"), "reference": starlark.String("debian@" + digest),
		"digest": starlark.String(digest), "platform": starlark.String("linux/amd64"),
	}
	build, links, err := repository(t, "_image", attributes, "/images", "/images/debian")
	require.NoError(t, err)
	require.Equal(t, []string{"/images/debian as layout"}, links)
	for _, part := range []string{`name = "debian_linux_amd64"`, `digest = "` + digest + `"`, `platform = "linux/amd64"`, `glob(["layout/**"]`} {
		require.Contains(t, build, part)
	}

	build, links, err = repository(t, "_image", attributes, "/images", "/images/other")
	require.NoError(t, err)
	require.Empty(t, links)
	require.Contains(t, build, "debian@"+digest+" can't be pulled offline: make an OCI layout of it in ")
	require.Contains(t, build, "docker://debian@"+digest+" oci:FOLDER/debian")

	build, _, err = repository(t, "_image", attributes, "")
	require.NoError(t, err)
	require.Contains(t, build, "in a folder FOLDER/debian, and give --repo_env=OCI_OFFLINE_IMAGES=FOLDER")

	_, _, err = repository(t, "_image", attributes, "images")
	require.ErrorContains(t, err, `OCI_OFFLINE_IMAGES is "images": it must be an absolute path`)
}

func TestAliases(t *testing.T) {
	t.Parallel()
	attributes := map[string]starlark.Value{"target": starlark.String("debian"), "single": starlark.String("debian_single"), "platforms": dict(nil)}
	build, _, err := repository(t, "_alias", attributes, "")
	require.NoError(t, err)
	require.Equal(t, "alias(name = \"debian\", actual = \"@debian_single\", visibility = [\"//visibility:public\"])\n", build)

	attributes["platforms"] = dict(map[string]string{"@platforms//cpu:x86_64": "@debian_linux_amd64"})
	build, _, err = repository(t, "_alias", attributes, "")
	require.NoError(t, err)
	require.Contains(t, build, `actual = select({"@platforms//cpu:x86_64": "@debian_linux_amd64"})`)
}
