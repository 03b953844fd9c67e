"""oci_image_index"""

load(":layout.bzl", "TOOL", "make_layout")
load(":texts.bzl", "text_arguments")

_platforms = transition(
    implementation = lambda _, attr: [{"//command_line_option:platforms": str(p)} for p in attr.platforms],
    inputs = [],
    outputs = ["//command_line_option:platforms"],
)

def _impl(ctx):
    # With platforms, each image stands here once for each of them.
    if ctx.attr.platforms and len(ctx.attr.images) != len(ctx.attr.platforms):
        fail("%s: images must be one image where platforms are given" % ctx.label)
    args = ctx.actions.args()
    inputs = text_arguments(ctx, args, ["annotations"])
    for image in ctx.files.images:
        args.add(image.path, format = "--image=%s")
    return make_layout(ctx, "index", args, inputs + ctx.files.images, "OCIIndex")

image_index_rule = rule(
    implementation = _impl,
    attrs = TOOL | {
        "annotations": attr.label(allow_single_file = True),
        "images": attr.label_list(
            cfg = _platforms,
            mandatory = True,
        ),
        "platforms": attr.label_list(providers = [platform_common.PlatformInfo]),
        "texts": attr.string_dict(doc = "attributes that were given as lists or dicts"),
    },
)
