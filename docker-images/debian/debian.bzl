"""Layers of Debian packages, for oci_image's tars. packages.yaml says what is in them, extension.bzl where the packages come from."""

def _debian_layer_impl(ctx):
    layer = ctx.actions.declare_file(ctx.label.name + ".tar.gz")
    arguments = ctx.actions.args()
    arguments.add("root")
    arguments.add("--dir", ctx.file._definition.dirname)
    arguments.add("--arch", ctx.attr.arch)
    arguments.add("--set", ctx.attr.set)
    arguments.add("--output", layer)
    arguments.add_all(ctx.files.packages)
    ctx.actions.run(
        executable = ctx.executable._program,
        arguments = [arguments],
        inputs = ctx.files.packages + ctx.files._locks + [ctx.file._definition],
        outputs = [layer],
        mnemonic = "DebianLayer",
        progress_message = "Making a layer of Debian packages %{output}",
    )
    return [DefaultInfo(files = depset([layer]))]

_debian_layer = rule(
    implementation = _debian_layer_impl,
    attrs = {
        "arch": attr.string(mandatory = True),
        "packages": attr.label_list(
            allow_files = [".deb"],
            mandatory = True,
        ),
        "set": attr.string(mandatory = True),
        "_definition": attr.label(
            allow_single_file = True,
            default = "//docker-images/debian:packages.yaml",
        ),
        "_locks": attr.label(default = "//docker-images/debian:locks"),
        "_program": attr.label(
            cfg = "exec",
            default = "//docker-images/debian",
            executable = True,
        ),
    },
)

# Debian's names of the platforms that images are made for.
_CPUS = {
    "amd64": "@platforms//cpu:x86_64",
    "arm64": "@platforms//cpu:aarch64",
}

def debian_layer(name, set, on = [], arch = None, **kwargs):
    """Makes NAME.tar.gz, the layer of a set of packages.

    Args:
      name: name of the target
      set: a set of packages.yaml
      on: the sets that it lies on, in any order; the layer holds nothing of theirs
      arch: amd64 or arm64; without it that of the platform that is built for
      **kwargs: visibility, tags and other attributes of any rule
    """

    def packages(arch):
        return ["@debian//:%s_%s" % (s, arch) for s in on + [set]]

    _debian_layer(
        name = name,
        arch = arch or select({cpu: a for a, cpu in _CPUS.items()}),
        packages = packages(arch) if arch else select({cpu: packages(a) for a, cpu in _CPUS.items()}),
        set = set,
        **kwargs
    )
