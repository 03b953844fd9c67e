"""Container images: for linux/amd64 and linux/arm64, optimised, small layers, a user that isn't root unless it must be, and labels that say what is inside.

`executor_image(name = "image", …)` makes in its package:

| target | what |
| --- | --- |
| `:image` | index of both platforms |
| `:image_linux_amd64`, `:image_linux_arm64` | one platform each |
| `:image_tarball` | `bazel run` loads the machine's own platform into Docker as `<repository>:candidate`; output group `tarball` |
| `:image_test` | `image_test.yaml`, checked in a container of it; needs a Docker engine |
| `:candidate_push` | `bazel run` pushes the index; `-- --repository R --tag T` say whereto |
"""

load("@rules_oci//oci:defs.bzl", "oci_image", "oci_image_index", "oci_load", "oci_push")
load("@rules_pkg//pkg:mappings.bzl", "pkg_attributes", "pkg_mkdirs")
load("@rules_pkg//pkg:pkg.bzl", _pkg_tar = "pkg_tar")
load("//dev:platform.bzl", "delivered_for_platform")
load("//dev/imagetest:defs.bzl", "image_structure_test")

_HOME = "/home/executor"

# The user and group that docker-images/debian/packages.yaml makes.
_USER = "1000:1000"

PLATFORMS = {
    "linux_amd64": "@rules_go//go/toolchain:linux_amd64",
    "linux_arm64": "@rules_go//go/toolchain:linux_arm64",
}

def image_repository(name):
    """Where candidates of an image are pushed unless `--repository` says otherwise."""
    return "us.gcr.io/sourcegraph-dev/" + name

def pkg_tar(name, extension = "tar.gz", **kwargs):
    """pkg_tar whose file is compressed: rules_oci takes layers as they are."""
    _pkg_tar(
        name = name,
        # Python's, which rules_pkg uses otherwise, takes longer than everything else that an image needs.
        compressor = "//dev/gzip" if extension.endswith(".gz") else None,
        extension = extension,
        **kwargs
    )

def _for_platform_impl(ctx):
    return [DefaultInfo(files = ctx.attr.image[0][DefaultInfo].files)]

# An image, whatever the machine that builds is, for one platform.
_for_platform = rule(
    implementation = _for_platform_impl,
    attrs = {
        "image": attr.label(mandatory = True, cfg = delivered_for_platform),
        "platform": attr.label(mandatory = True),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
)

def _labels_impl(ctx):
    if ctx.attr.left_out:
        # Whoever builds the image is to see it.
        # buildifier: disable=print
        print("left out of the image, since it can't be had offline: " + ctx.attr.left_out)
    out = ctx.actions.declare_file(ctx.label.name + ".labels.txt")
    static = ctx.actions.declare_file(ctx.label.name + ".static.txt")
    ctx.actions.write(static, "".join(["%s=%s\n" % label for label in sorted(ctx.attr.labels.items())]))
    status = [ctx.info_file, ctx.version_file] if ctx.attr.stamp else []
    ctx.actions.run(
        executable = ctx.file._program,
        arguments = [out.path, static.path] + [f.path for f in status],
        inputs = [static] + status,
        outputs = [out],
        mnemonic = "ImageLabels",
    )
    return [DefaultInfo(files = depset([out]))]

_labels = rule(
    implementation = _labels_impl,
    attrs = {
        "labels": attr.string_dict(),
        "left_out": attr.string(),
        "stamp": attr.bool(),
        "_program": attr.label(default = "//dev:image_labels.sh", allow_single_file = True),
    },
)

def _parents(dirs):
    """All directories above these."""
    parents = {}
    for directory in dirs:
        parts = directory.split("/")
        for i in range(2, len(parts)):
            parents["/".join(parts[:i])] = None
    return sorted(parents)

def executor_image(name, repository, binaries, description, packages = [], writable = [], src_cli = False, env = {}, user = _USER, **kwargs):
    """Makes the targets that the table above lists. The file image_test.yaml lies beside the BUILD file.

    Args:
      name: name of the index; the others' names begin with it
      repository: last part of the image's name
      binaries: tars of our own programs
      description: one sentence, for the label
      packages: names of package sets of //docker-images/debian that lie on top of its base
      writable: directories, besides its home, that belong to the user of its processes
      src_cli: whether Sourcegraph's src is in it
      env: environment of its processes
      user: who its processes run as, where that must be another
      **kwargs: further attributes of oci_image
    """
    _labels(
        name = name + "_labels",
        labels = {
            "org.opencontainers.image.base.name": "docker.io/library/debian:12-slim",
            "org.opencontainers.image.description": description,
            "org.opencontainers.image.source": "https://github.com/open-executor/executor",
            "org.opencontainers.image.title": repository,
        },
        left_out = select({
            "//dev:offline_build": "src, Sourcegraph's command line, which src steps need",
            "//conditions:default": "",
        }) if src_cli else "",
        stamp = select({
            "//dev:stamped": True,
            "//conditions:default": False,
        }),
    )
    pkg_mkdirs(
        # Named, since pkg_tar would give them to the owner of what is in them.
        name = name + "_parents",
        attributes = pkg_attributes(mode = "0755"),
        dirs = _parents([_HOME] + writable),
    )
    pkg_mkdirs(
        name = name + "_writable",
        attributes = pkg_attributes(mode = "0700"),
        dirs = [_HOME] + writable,
    )
    pkg_tar(
        name = name + "_directories",
        srcs = [
            name + "_parents",
            name + "_writable",
        ],
        owners = {d.lstrip("/"): _USER.replace(":", ".") for d in [_HOME] + writable},
    )
    oci_image(
        name = name + "_underlying",
        # Online the distribution's own image; offline the same packages as a layer of our making.
        base = select({
            "//dev:offline_build": None,
            "//conditions:default": "@debian_12",
        }),
        os = select({
            "//dev:offline_build": "linux",
            "//conditions:default": None,
        }),
        architecture = select({
            "//dev:offline_arm64": "arm64",
            "//dev:offline_amd64": "amd64",
            "//conditions:default": None,
        }),
        tars = select({
                   "//dev:offline_build": ["//docker-images/debian:base"],
                   "//conditions:default": [],
               }) + ["//docker-images/debian:" + p for p in ["executor"] + packages] + [name + "_directories"] +
               (select({
                   "//dev:offline_build": [],
                   "//conditions:default": ["//cmd/executor:tar_src-cli"],
               }) if src_cli else []) + binaries,
        env = dict({"HOME": _HOME, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, **env),
        labels = ":" + name + "_labels",
        user = user,
        workdir = _HOME,
        tags = ["manual"],
        visibility = ["//visibility:private"],
        **kwargs
    )
    for suffix, platform in PLATFORMS.items():
        _for_platform(
            name = name + "_" + suffix,
            image = name + "_underlying",
            platform = platform,
            visibility = ["//visibility:public"],
        )
    oci_image_index(
        name = name,
        images = [name + "_" + suffix for suffix in PLATFORMS],
        visibility = ["//visibility:public"],
    )
    oci_load(
        name = name + "_tarball",
        image = select({
            "@platforms//cpu:aarch64": name + "_linux_arm64",
            "//conditions:default": name + "_linux_amd64",
        }),
        repo_tags = [repository + ":candidate"],
        visibility = ["//visibility:public"],
    )
    image_structure_test(
        name = name + "_test",
        configs = ["image_test.yaml"],
        image_tarball = name + "_tarball",
    )
    oci_push(
        name = "candidate_push",
        image = name,
        repository = image_repository(repository),
        visibility = ["//visibility:public"],
    )
