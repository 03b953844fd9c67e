"""oci_load"""

load(":layout.bzl", "TOOL")
load(":script.bzl", "quote", "runfile", "words_file", "write_script")

_BODY = """
loader={loader}
for program in docker podman nerdctl; do
  [[ -n $loader ]] || ! command -v "$program" >/dev/null || loader=$program
done
[[ -n $loader ]] || {{ echo "neither docker nor podman nor nerdctl is on the PATH; the attribute loader names another program" >&2; exit 1; }}
{tool} tarball --target={target} --layout={layout} --tags-file={tags} | "$loader" load"""

def _impl(ctx):
    if ctx.attr.format != "docker":
        fail("%s: format = \"%s\" is not supported by the offline rules_oci, only \"docker\"" % (ctx.label, ctx.attr.format))
    tags = words_file(ctx, "repo_tags")
    tarball = ctx.actions.declare_file(ctx.label.name + "/tarball.tar")
    args = ctx.actions.args()
    args.add("tarball")
    args.add(ctx.label, format = "--target=%s")
    args.add(ctx.file.image.path, format = "--layout=%s")
    args.add(tags, format = "--tags-file=%s")
    args.add(tarball, format = "--out=%s")
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._tool,
        inputs = [ctx.file.image, tags],
        mnemonic = "OCITarball",
        outputs = [tarball],
    )
    script = write_script(ctx, _BODY.format(
        layout = runfile(ctx, ctx.file.image),
        loader = runfile(ctx, ctx.executable.loader) if ctx.attr.loader else "",
        tags = runfile(ctx, tags),
        target = quote(str(ctx.label)),
        tool = runfile(ctx, ctx.executable._tool),
    ))
    runfiles = ctx.runfiles([ctx.executable._tool, ctx.file.image, tags])
    if ctx.attr.loader:
        runfiles = runfiles.merge(ctx.runfiles([ctx.executable.loader])).merge(ctx.attr.loader[DefaultInfo].default_runfiles)
    return [
        DefaultInfo(
            executable = script,
            runfiles = runfiles,
        ),
        OutputGroupInfo(tarball = depset([tarball])),
    ]

load_rule = rule(
    implementation = _impl,
    attrs = TOOL | {
        "format": attr.string(default = "docker"),
        "image": attr.label(
            allow_single_file = True,
            mandatory = True,
        ),
        "loader": attr.label(
            allow_files = True,
            cfg = "target",
            executable = True,
        ),
        "repo_tags": attr.label(allow_single_file = [".txt"]),
        "words": attr.string_list(doc = "repo_tags that were given as a list"),
    },
    executable = True,
)
