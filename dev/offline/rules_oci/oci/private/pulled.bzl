"""What oci.pull makes of a layout on this machine."""

load(":layout.bzl", "TOOL", "make_layout")

def _impl(ctx):
    args = ctx.actions.args()
    for file in ctx.files.layout:
        if file.basename == "index.json":
            args.add(file.dirname, format = "--layout=%s")
    args.add("--missing=" + ctx.attr.missing)
    args.add("--pinned=" + ctx.attr.digest)
    args.add("--platform=" + ctx.attr.platform)
    return make_layout(ctx, "pulled", args, ctx.files.layout, "OCIPulled")

pulled = rule(
    implementation = _impl,
    attrs = TOOL | {
        "digest": attr.string(),
        "layout": attr.label_list(allow_files = True),
        "missing": attr.string(mandatory = True),
        "platform": attr.string(),
    },
)
