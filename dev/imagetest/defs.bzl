"""Container structure tests of images, run by //dev/imagetest in a Docker engine."""

_SCRIPT = """#!/usr/bin/env bash
set -euo pipefail
cd "${{TEST_SRCDIR:-$0.runfiles}}/{workspace}"
exec {words} "$@"
"""

def _word(file):
    return "'" + file.short_path.replace("'", "'\\''") + "'"

def _impl(ctx):
    groups = ctx.attr.image_tarball[OutputGroupInfo]
    tarballs = groups.tarball.to_list() if hasattr(groups, "tarball") else []
    if len(tarballs) != 1:
        fail("%s: image_tarball must be an oci_load target: %s has no output group \"tarball\" of one file" % (ctx.label, ctx.attr.image_tarball.label))
    program = ctx.executable._imagetest
    words = [_word(program), "--tarball", _word(tarballs[0])]
    for config in ctx.files.configs:
        words += ["--config", _word(config)]
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(
        script,
        _SCRIPT.format(
            words = " ".join(words),
            workspace = ctx.workspace_name,
        ),
        is_executable = True,
    )
    return [
        DefaultInfo(
            executable = script,
            runfiles = ctx.runfiles([program] + tarballs + ctx.files.configs),
        ),
        RunEnvironmentInfo(inherited_environment = ["DOCKER_CERT_PATH", "DOCKER_HOST", "DOCKER_TLS_VERIFY"]),
    ]

_image_structure_test = rule(
    implementation = _impl,
    attrs = {
        "configs": attr.label_list(
            allow_empty = False,
            allow_files = [".yaml", ".yml"],
        ),
        "image_tarball": attr.label(mandatory = True),
        "_imagetest": attr.label(
            cfg = "exec",
            default = "//dev/imagetest",
            executable = True,
        ),
    },
    test = True,
)

def image_structure_test(name, image_tarball, configs, tags = [], size = "medium", **kwargs):
    """A test of an image by files of container structure tests.

    It needs a Docker engine, to which it leaves nothing, so it is tagged "engine" and runs alone.

    Args:
      name: name of the test
      image_tarball: oci_load target of the image
      configs: files of tests, in the YAML of container-structure-test (schema 2.0.0)
      tags: further tags
      size: bounds the time; starting containers takes a while
      **kwargs: further attributes of a test
    """
    _image_structure_test(
        name = name,
        size = size,
        configs = configs,
        image_tarball = image_tarball,
        tags = [
            "engine",
            "exclusive",
            "no-sandbox",
        ] + tags,
        **kwargs
    )
