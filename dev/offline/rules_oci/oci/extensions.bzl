"""The extension `oci`: `pull` finds images on this machine, `toolchains` makes repositories that are there and empty."""

# Folder with an OCI layout for each oci.pull, by its name.
_FOLDER = "OCI_OFFLINE_IMAGES"

_CPUS = {
    "linux/386": "@platforms//cpu:i386",
    "linux/amd64": "@platforms//cpu:x86_64",
    "linux/arm/v7": "@platforms//cpu:armv7",
    "linux/arm64": "@platforms//cpu:arm64",
    "linux/arm64/v8": "@platforms//cpu:arm64",
    "linux/ppc64le": "@platforms//cpu:ppc",
    "linux/s390x": "@platforms//cpu:s390x",
}

_IMAGE = """load("@rules_oci//oci/private:pulled.bzl", "pulled")

pulled(
    name = {name},
    digest = {digest},
    layout = glob(["layout/**"], allow_empty = True),
    missing = {missing},
    platform = {platform},
    visibility = ["//visibility:public"],
)
"""

def _image_impl(rctx):
    missing = "%s can't be pulled offline: make an OCI layout of it" % rctx.attr.reference
    folder = rctx.getenv(_FOLDER)
    if not folder:
        missing += " in a folder FOLDER/%s, and give --repo_env=%s=FOLDER" % (rctx.attr.pull, _FOLDER)
    else:
        if not folder.startswith("/"):
            fail("%s is %r: it must be an absolute path" % (_FOLDER, folder))
        layout = rctx.path(folder + "/" + rctx.attr.pull)
        missing += " in %s" % layout
        rctx.watch(layout.get_child("index.json"))
        if layout.get_child("index.json").exists:
            rctx.symlink(layout, "layout")
    missing += ", e.g. with: skopeo copy --all --preserve-digests docker://%s oci:FOLDER/%s" % (rctx.attr.reference, rctx.attr.pull)
    rctx.file("BUILD.bazel", _IMAGE.format(
        name = repr(rctx.attr.target),
        digest = repr(rctx.attr.digest),
        missing = repr(missing),
        platform = repr(rctx.attr.platform),
    ))

_image = repository_rule(
    implementation = _image_impl,
    attrs = {a: attr.string() for a in ["digest", "platform", "pull", "reference", "target"]},
)

def _alias_impl(rctx):
    actual = repr("@%s" % rctx.attr.single)
    if rctx.attr.platforms:
        actual = "select(%r)" % rctx.attr.platforms
    rctx.file("BUILD.bazel", "alias(name = %r, actual = %s, visibility = [\"//visibility:public\"])\n" % (rctx.attr.target, actual))

_alias = repository_rule(
    implementation = _alias_impl,
    attrs = {
        "platforms": attr.string_dict(),
        "single": attr.string(),
        "target": attr.string(),
    },
)

_empty = repository_rule(implementation = lambda rctx: rctx.file("BUILD.bazel", ""))

def _reference(pull):
    """Returns the name of an image and the digest that pins it, if any."""
    if bool(pull.image) == bool(pull.registry and pull.repository):
        fail("oci.pull %s: give either image, or registry and repository" % pull.name)
    reference = pull.image or pull.registry + "/" + pull.repository
    reference, _, digest = reference.partition("@")
    digest = digest or pull.digest
    if digest:
        return reference + "@" + digest, digest
    if pull.tag:
        reference += ":" + pull.tag
    return reference, ""

def _pull(pull):
    reference, digest = _reference(pull)
    platforms = {}
    names = {}
    for platform in pull.platforms:
        name = "_".join([pull.name] + platform.split("/"))
        names[name] = platform
        if platform in _CPUS:
            platforms[_CPUS[platform]] = "@" + name
    if pull.platforms and not platforms:
        fail("oci.pull %s: platforms: none of %s is known; known are %s" % (pull.name, ", ".join(pull.platforms), ", ".join(_CPUS)))
    if not names:
        names[pull.name + "_single"] = ""
    for name, platform in names.items():
        _image(
            name = name,
            target = name,
            pull = pull.name,
            reference = reference,
            digest = digest,
            platform = platform,
        )
    _alias(
        name = pull.name,
        target = pull.name,
        platforms = platforms,
        single = pull.name + "_single",
    )

def _oci(mctx):
    toolchains = {}
    for module in mctx.modules:
        for pull in module.tags.pull:
            _pull(pull)
        for tag in module.tags.toolchains:
            for kind in ["crane", "regctl"]:
                toolchains["%s_%s_toolchains" % (tag.name, kind)] = None
    for name in toolchains:
        _empty(name = name)

oci = module_extension(
    implementation = _oci,
    tag_classes = {
        "pull": tag_class({a: attr.string() for a in ["digest", "image", "name", "registry", "repository", "tag"]} | {
            # How a registry is talked to; here none is.
            "bazel_tags": attr.string_list(),
            "config": attr.label(),
            "platforms": attr.string_list(),
            "reproducible": attr.bool(default = True),
            "www_authenticate_challenges": attr.string_dict(),
        }),
        "toolchains": tag_class({"name": attr.string(default = "oci")}),
    },
)
