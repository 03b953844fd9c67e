"""oci_push"""

load(":layout.bzl", "TOOL")
load(":script.bzl", "quote", "runfile", "words_file", "write_script")

def _impl(ctx):
    if ctx.attr.repository and ctx.attr.repository_file:
        fail("%s: repository and repository_file can't both be given" % ctx.label)
    tags = words_file(ctx, "remote_tags")
    files = [ctx.executable._tool, ctx.file.image, tags]
    words = [
        runfile(ctx, ctx.executable._tool),
        "push",
        "--target=" + quote(str(ctx.label)),
        "--layout=" + runfile(ctx, ctx.file.image),
        "--tags-file=" + runfile(ctx, tags),
    ]
    if ctx.attr.repository:
        words.append("--repository=" + quote(ctx.attr.repository))
    elif ctx.file.repository_file:
        words.append("--repository-file=" + runfile(ctx, ctx.file.repository_file))
        files.append(ctx.file.repository_file)
    return [DefaultInfo(
        executable = write_script(ctx, "exec " + " ".join(words) + " \"$@\""),
        runfiles = ctx.runfiles(files),
    )]

push_rule = rule(
    implementation = _impl,
    attrs = TOOL | {
        "image": attr.label(
            allow_single_file = True,
            mandatory = True,
        ),
        "remote_tags": attr.label(allow_single_file = True),
        "repository": attr.string(),
        "repository_file": attr.label(allow_single_file = True),
        "words": attr.string_list(doc = "remote_tags that were given as a list"),
    },
    executable = True,
)
