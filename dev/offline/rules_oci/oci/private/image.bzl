"""oci_image"""

load(":layout.bzl", "TOOL", "make_layout")
load(":texts.bzl", "text_arguments")

_TEXTS = ["annotations", "cmd", "created", "entrypoint", "env", "exposed_ports", "labels", "volumes"]
_PLATFORM = ["os", "architecture", "variant"]

def _describe(ctx, tar, i):
    """An action of its own for each layer, so that those that haven't changed needn't be unpacked again."""
    out = ctx.actions.declare_file("%s.layer%d.json" % (ctx.label.name, i))
    args = ctx.actions.args()
    args.add("describe")
    args.add(tar.owner, format = "--target=%s")
    args.add(tar, format = "--layer=%s")
    args.add(out, format = "--out=%s")
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._tool,
        inputs = [tar],
        mnemonic = "OCIDescribe",
        outputs = [out],
        progress_message = "OCIDescribe %s" % tar.owner,
    )
    return out

def _impl(ctx):
    if ctx.attr.base:
        for attribute in _PLATFORM:
            if getattr(ctx.attr, attribute):
                fail("%s: %s comes from base and can't be given as well" % (ctx.label, attribute))
    elif not (ctx.attr.os and ctx.attr.architecture):
        fail("%s: os and architecture must be given where base is not" % ctx.label)

    args = ctx.actions.args()
    inputs = text_arguments(ctx, args, _TEXTS)
    if ctx.file.base:
        args.add(ctx.file.base.path, format = "--base=%s")
        inputs.append(ctx.file.base)
    for attribute in _PLATFORM + ["user", "workdir"]:
        value = getattr(ctx.attr, attribute)
        if value:
            args.add("--%s=%s" % (attribute, value))
    for i, tar in enumerate(ctx.files.tars):
        description = _describe(ctx, tar, i)
        args.add(tar, format = "--layer=%s")
        args.add(tar.owner, format = "--layer-from=%s")
        args.add(description, format = "--layer-description=%s")
        inputs += [tar, description]
    return make_layout(ctx, "image", args, inputs, "OCIImage")

image_rule = rule(
    implementation = _impl,
    attrs = {a: attr.label(allow_single_file = True) for a in _TEXTS} |
            {a: attr.string() for a in _PLATFORM + ["user", "workdir"]} | TOOL | {
        "base": attr.label(allow_single_file = True),
        "resource_set": attr.string(doc = "a hint to the real rules_oci, without meaning here"),
        "tars": attr.label_list(allow_files = [".tar", ".tar.gz", ".tar.zst", ".tgz", ".tzst"]),
        "texts": attr.string_dict(doc = "attributes that were given as lists or dicts"),
    },
)
