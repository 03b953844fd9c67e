"""What goes into machine images, for the processor of the machine that will run it."""

load("//dev:platform.bzl", "delivered_for_platform")

def _delivered_file_impl(ctx):
    target = ctx.attr.target[0]
    if ctx.attr.output_group:
        files = getattr(target[OutputGroupInfo], ctx.attr.output_group).to_list()
    elif ctx.attr.program:
        files = [target[DefaultInfo].files_to_run.executable]
    else:
        files = target[DefaultInfo].files.to_list()
    if len(files) != 1:
        fail("%s: want one file, and %s has %d" % (ctx.label, target.label, len(files)))
    file = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = file, target_file = files[0])
    return [DefaultInfo(files = depset([file]))]

delivered_file = rule(
    implementation = _delivered_file_impl,
    attrs = {
        "output_group": attr.string(doc = "where the file is, if not among the target's own"),
        "platform": attr.label(mandatory = True),
        "program": attr.bool(doc = "the file is what the target runs"),
        "target": attr.label(
            cfg = delivered_for_platform,
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
    doc = "The one file of a target, built for a platform whatever the machine that builds is, as NAME.",
)
