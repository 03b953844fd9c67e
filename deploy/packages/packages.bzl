"""Debian and RPM packages of one program each: binary, systemd unit, user, settings, and maintainer scripts made from templates."""

load("@bazel_skylib//rules:expand_template.bzl", "expand_template")
load("@rules_pkg//pkg:deb.bzl", "pkg_deb")
load("@rules_pkg//pkg:mappings.bzl", "pkg_attributes", "pkg_files", "pkg_mkdirs")
load("@rules_pkg//pkg:pkg.bzl", "pkg_tar")
load("@rules_pkg//pkg:rpm.bzl", "pkg_rpm")
load("//dev:platform.bzl", "delivered_for_platform")

_MAINTAINER = "The maintainers of executor <https://github.com/open-executor/executor/issues>"
_HOMEPAGE = "https://github.com/open-executor/executor"

# The repository names no licence yet; RPM wants something here.
_LICENSE = "Unspecified"

# Go's and Debian's name of a processor: RPM's.
_RPM_ARCHITECTURES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
}

# What microVMs need of the system, in Debian's names and in Fedora's. Only suggested: most executors use Docker, and QEMU with what it
# brings is hundreds of megabytes.
_MICROVM_SUGGESTS = {
    "deb": ["qemu-system-x86", "e2fsprogs", "squashfs-tools (>= 1:4.5)", "nftables"],
    "rpm": ["qemu-system-x86-core", "e2fsprogs", "squashfs-tools >= 4.5", "nftables"],
}

_SCRIPTS = {
    "deb": ["postinst", "postrm", "prerm"],
    "rpm": ["post", "postun", "preun"],
}

def _version_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".txt")
    status = [ctx.info_file] if ctx.attr.stamp else []
    ctx.actions.run_shell(
        command = '"$1" ${3+"$3"} >"$2"',
        arguments = [ctx.executable._program.path, out.path] + [f.path for f in status],
        tools = [ctx.executable._program],
        inputs = status,
        outputs = [out],
        mnemonic = "PackageVersion",
    )
    return [DefaultInfo(files = depset([out]))]

# A file with the packages' version: that of the build with --stamp, else a development build's.
package_version = rule(
    implementation = _version_impl,
    attrs = {
        "stamp": attr.bool(),
        "_program": attr.label(default = ":version.sh", allow_single_file = True, executable = True, cfg = "exec"),
    },
)

def _program_impl(ctx):
    return [DefaultInfo(files = depset([ctx.executable.program]))]

# The file of a program, built for one platform whatever the machine that builds is.
_program = rule(
    implementation = _program_impl,
    attrs = {
        "platform": attr.label(mandatory = True),
        "program": attr.label(mandatory = True, executable = True, cfg = delivered_for_platform),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
)

def _files(name, mode = "0644", tag = None, **kwargs):
    pkg_files(
        name = name,
        attributes = pkg_attributes(
            group = "root",
            mode = mode,
            user = "root",
            **({"rpm_filetag": tag} if tag else {})
        ),
        **kwargs
    )
    return ":" + name

def _system_packages(name, program, settings, summary, description, architecture, version, tags, programs = {}, docs = [], suggests = {}):
    """Makes `:NAME_deb` and `:NAME_rpm`.

    Args:
      name: of the package, its service, user and directories
      program: label of the binary, installed as /usr/bin/NAME
      settings: file name in //deploy/systemd of the example of settings, installed into /etc/NAME
      summary: one line
      description: sentences
      architecture: amd64 or arm64
      version: label of a file with the version
      tags: of what nobody builds by the way
      programs: file names in /usr/lib/NAME: labels of programs that people don't call
      docs: labels of further files for /usr/share/doc/NAME
      suggests: for "deb" and "rpm", the packages that are of use with this one
    """
    for kind, scripts in _SCRIPTS.items():
        for script in scripts:
            expand_template(
                name = "%s_%s_%s" % (name, kind, script),
                out = "%s.%s.%s" % (name, kind, script),
                substitutions = {"@NAME@": name},
                template = "//deploy/packages:%s/%s" % (kind, script),
            )
    _program(
        name = name + "_program",
        platform = "@rules_go//go/toolchain:linux_" + architecture,
        program = program,
    )

    for file, label in programs.items():
        _program(
            name = name + "_lib_" + file,
            platform = "@rules_go//go/toolchain:linux_" + architecture,
            program = label,
        )

    # pkg_rpm has no attribute for it.
    expand_template(
        name = name + "_rpm_spec",
        out = name + ".template.spec",
        substitutions = {"@SUGGESTS@": "\n".join(["Suggests: " + s for s in suggests.get("rpm", [])])},
        template = "//deploy/packages:rpm/package.spec",
    )

    # RPM removes only directories that it knows.
    pkg_mkdirs(
        name = name + "_directories",
        attributes = pkg_attributes(
            group = "root",
            mode = "0755",
            user = "root",
        ),
        dirs = [
            "/etc/" + name,
            "/usr/share/doc/" + name,
        ] + (["/usr/lib/" + name] if programs else []),
    )
    files = [
        ":" + name + "_directories",
        _files(name + "_binary", mode = "0755", prefix = "/usr/bin", srcs = [name + "_program"], renames = {name + "_program": name}),
        _files(name + "_unit", prefix = "/usr/lib/systemd/system", srcs = ["//deploy/systemd:%s.service" % name]),
        _files(name + "_user", prefix = "/usr/lib/sysusers.d", srcs = ["//deploy/systemd:sysusers.d/%s.conf" % name]),
        # systemd reads it as root, before it becomes the service's user.
        _files(name + "_settings", mode = "0600", tag = "%config(noreplace)", prefix = "/etc/" + name, srcs = ["//deploy/systemd:" + settings]),
        _files(name + "_docs", tag = "%doc", prefix = "/usr/share/doc/" + name, srcs = ["//docs:configuration.md", "//docs:install.md"] + docs),
    ] + [
        _files(
            name + "_lib_file_" + file,
            mode = "0755",
            prefix = "/usr/lib/" + name,
            srcs = [name + "_lib_" + file],
            renames = {name + "_lib_" + file: file},
        )
        for file in programs
    ]
    pkg_tar(
        name = name + "_data",
        srcs = files,
        extension = "tar.gz",
        tags = tags,
    )
    pkg_deb(
        name = name + "_deb",
        architecture = architecture,
        conffiles = ["/etc/%s/%s" % (name, settings)],
        data = name + "_data",
        depends = [
            "ca-certificates",
            "git (>= 1:2.31)",
            "init-system-helpers (>= 1.54)",
            "systemd | systemd-standalone-sysusers",
        ],
        description = summary + "\n" + description,
        homepage = _HOMEPAGE,
        maintainer = _MAINTAINER,
        package = name,
        package_file_name = "%s_%s.deb" % (name, architecture),
        postinst = name + "_deb_postinst",
        postrm = name + "_deb_postrm",
        prerm = name + "_deb_prerm",
        priority = "optional",
        section = "devel",
        suggests = suggests.get("deb", []),
        tags = tags,
        version_file = version,
        visibility = ["//visibility:public"],
    )
    pkg_rpm(
        name = name + "_rpm",
        srcs = files,
        architecture = _RPM_ARCHITECTURES[architecture],
        description = description,
        license = _LICENSE,
        package_file_name = "%s.%s.rpm" % (name, _RPM_ARCHITECTURES[architecture]),
        package_name = name,
        post_scriptlet_file = name + "_rpm_post",
        postun_scriptlet_file = name + "_rpm_postun",
        preun_scriptlet_file = name + "_rpm_preun",
        release = "1",
        requires = [
            "ca-certificates",
            "git-core >= 2.31",
            "systemd",
        ],
        # The scripts call it.
        requires_contextual = {
            "post": ["systemd"],
            "preun": ["systemd"],
        },
        source_date_epoch = 946684800,  # that of pkg_tar
        spec_template = name + "_rpm_spec",
        summary = summary,
        tags = ["manual"],  # needs rpmbuild, which not every machine has
        url = _HOMEPAGE,
        version_file = version,
        visibility = ["//visibility:public"],
    )

def executor_packages(name, architecture, version = "//deploy/packages:version", tags = []):
    """Makes `:executor_deb`, `:executor_rpm`, `:executor-frontend_deb`, `:executor-frontend_rpm`, and all of them as one target.

    One Bazel package holds those of one architecture and version: rules_pkg names its files after the packages.

    Args:
      name: of the target that has all
      architecture: amd64 or arm64
      version: label of a file with the version
      tags: of all targets that make an archive
    """

    # MicroVMs exist for amd64 only.
    microvms = architecture == "amd64"
    _system_packages(
        name = "executor",
        architecture = architecture,
        description = "Polls a frontend, or a Sourcegraph instance, for jobs, and runs them in Docker containers" +
                      (" or microVMs." if microvms else "."),
        docs = [
            "//deploy/systemd:microvm-firecracker.conf",
            "//deploy/systemd:microvm.conf",
            "//docs:microvm.md",
        ] if microvms else [],
        program = "//cmd/executor",
        # The guest agent, for "executor install kernel".
        programs = {"vmagent": "//cmd/vmagent"} if microvms else {},
        settings = "executor.env",
        suggests = _MICROVM_SUGGESTS if microvms else {},
        summary = "runs jobs of a frontend's queues",
        tags = tags,
        version = version,
    )
    _system_packages(
        name = "executor-frontend",
        architecture = architecture,
        description = "Keeps jobs, their leases and logs, hands jobs to executors, and serves the API for clients.",
        program = "//cmd/frontend",
        settings = "frontend.env",
        summary = "keeps queues of jobs for executors",
        tags = tags,
        version = version,
    )
    native.filegroup(
        name = name,
        srcs = [
            ":executor-frontend_deb",
            ":executor-frontend_rpm",
            ":executor_deb",
            ":executor_rpm",
        ],
        tags = ["manual"],  # needs rpmbuild
        visibility = ["//visibility:public"],
    )
