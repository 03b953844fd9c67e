"""Programs as they are published: for a platform, optimised, with the list of what is in them."""

load("@rules_go//go:def.bzl", "GoArchive")
load("//dev:platform.bzl", "delivered_for_platform")

def _import_path(archive):
    return archive.importpath

def _published_program_impl(ctx):
    program = ctx.attr.program[0]
    file = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = file, target_file = program[DefaultInfo].files_to_run.executable, is_executable = True)

    packages = ctx.outputs.packages
    lines = ctx.actions.args()
    lines.set_param_file_format("multiline")
    lines.add_all(program[GoArchive].transitive, map_each = _import_path, uniquify = True)
    ctx.actions.write(packages, lines)
    return [DefaultInfo(files = depset([file]), executable = file)]

published_program = rule(
    implementation = _published_program_impl,
    attrs = {
        "platform": attr.label(
            doc = "the platform that it is for, whatever the machine that builds is",
            mandatory = True,
        ),
        "program": attr.label(
            doc = "a go_binary",
            cfg = delivered_for_platform,
            mandatory = True,
            providers = [GoArchive],
        ),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
    doc = """A go_binary for one platform, and NAME.packages: the import paths of all packages that it is linked from, without those of the standard
library, one a line. A program that Bazel built doesn't name its modules; //dev/release does, by this list and go.mod.""",
    executable = True,
    outputs = {"packages": "%{name}.packages"},
)
