"""Debian packages for image layers: exactly the files of lock_*.json, fetched when a target needs them and not before.

MODULE.bazel says:

    debian = use_extension("//docker-images/debian:extension.bzl", "debian")
    debian.lock(file = "//docker-images/debian:lock_amd64.json")
    debian.lock(file = "//docker-images/debian:lock_arm64.json")
    use_repo(debian, "debian")

and `@debian//:SET_ARCHITECTURE` are then the packages of a set, not those of the sets below it. debian.bzl makes layers of them.

They come, in this order:
  - from ~/.cache/executor-bazel/debs, where those that came through apt are kept, so that no clone fetches them again and a commit can still
    be built here when mirrors have moved on; or from Bazel's own repository cache;
  - where EXECUTOR_DEBIAN_MIRROR names a mirror, from there. It may be that of a past day, which has what mirrors have dropped since;
  - else through the machine's apt from its Debian mirror, with its proxies and certificates.
"""

_HELPER = "/usr/lib/apt/apt-helper"
_MIRROR_VARIABLE = "EXECUTOR_DEBIAN_MIRROR"
_LOCK_COMMAND = "go run ./docker-images/debian lock"

# In seconds. A set is some tens of megabytes.
_TIMEOUT = 900

def _debian_impl(module_ctx):
    repositories = {}
    for module in module_ctx.modules:
        for tag in module.tags.lock:
            lock = json.decode(module_ctx.read(tag.file))
            packages = {}
            for package in lock["packages"]:
                packages.setdefault(package["set"], []).append(json.encode(package))
            for name, of_set in packages.items():
                target = "%s_%s" % (name, lock["architecture"])
                if target in repositories:
                    fail("%s: another lock has the set %s for %s too" % (tag.file, name, lock["architecture"]))
                repositories[target] = "debian_" + target
                debian_packages(name = "debian_" + target, packages = of_set)
    debian_sets(name = "debian", repositories = repositories)

debian = module_extension(
    implementation = _debian_impl,
    tag_classes = {
        "lock": tag_class(attrs = {"file": attr.label(mandatory = True)}),
    },
)

def _debian_sets_impl(repository_ctx):
    lines = []
    for target, repository in sorted(repository_ctx.attr.repositories.items()):
        lines.append('alias(name = "%s", actual = "@%s//:packages", visibility = ["//visibility:public"])' % (target, repository))
    repository_ctx.file("BUILD.bazel", "\n".join(lines) + "\n")

# One place to name all sets by. Loading it loads none of them.
debian_sets = repository_rule(
    implementation = _debian_sets_impl,
    attrs = {"repositories": attr.string_dict()},
)

def _debian_packages_impl(repository_ctx):
    packages = [json.decode(text) for text in repository_ctx.attr.packages]
    missing = [p for p in packages if not _kept(repository_ctx, p)]
    if missing:
        by_hand = repository_ctx.getenv(_MIRROR_VARIABLE, "").rstrip("/")
        if by_hand:
            _through_bazel(repository_ctx, _mirror_at(by_hand), missing)
        else:
            mirror = _mirror_of_apt(repository_ctx)
            if not mirror:
                fail("Debian packages are needed for images, and this machine's apt has no Debian mirror: set %s to the address of one" % _MIRROR_VARIABLE)
            _through_apt(repository_ctx, mirror, missing)
            _keep(repository_ctx, missing)
    repository_ctx.file("BUILD.bazel", 'filegroup(name = "packages", srcs = glob(["*.deb"]), visibility = ["//visibility:public"])\n')

debian_packages = repository_rule(
    implementation = _debian_packages_impl,
    attrs = {"packages": attr.string_list(mandatory = True)},
)

def _file(package):
    return package["path"].split("/")[-1]

def _name(package):
    return "%s %s" % (package["name"], package["version"])

def _url(mirror, package):
    # Some servers take a plus sign for a blank.
    return mirror[package["archive"]] + "/" + package["path"].replace("+", "%2b")

def _keeping_place(repository_ctx):
    home = repository_ctx.getenv("HOME", "")
    return home + "/.cache/executor-bazel/debs" if home else None

def _kept(repository_ctx, package):
    """Takes a package from where it is kept, if it is there and whole."""
    place = _keeping_place(repository_ctx)
    if not place or not repository_ctx.path("%s/%s.deb" % (place, package["sha256"])).exists:
        return False
    result = repository_ctx.download(
        url = "file://%s/%s.deb" % (place, package["sha256"]),
        output = _file(package),
        sha256 = package["sha256"],
        allow_fail = True,
    )
    return result.success

def _keep(repository_ctx, packages):
    """Keeps packages for later. Where that fails they are fetched again another time."""
    place = _keeping_place(repository_ctx)
    if place:
        words = ["sh", "-c", 'mkdir -p "$0" && while [ $# -gt 0 ]; do cp "$1" "$0/$2.$$" && mv "$0/$2.$$" "$0/$2.deb" || exit; shift 2; done', place]
        for package in packages:
            words += [_file(package), package["sha256"]]
        repository_ctx.execute(words)

def _mirror_of_apt(repository_ctx):
    """The addresses of the main and the security archive that this machine's apt uses, or None where it has no Debian mirror."""
    if not repository_ctx.path(_HELPER).exists:
        return None

    # What an update would fetch. Unlike apt-get indextargets, this is told before there was one.
    result = repository_ctx.execute(["apt-get", "update", "--print-uris"], environment = {"LC_ALL": "C"})
    if result.return_code != 0:
        fail("apt-get update --print-uris fails, which tells this machine's Debian mirror: " + result.stderr.strip())
    mirror = {}
    for line in result.stdout.split("\n"):
        # 'http://mirror.example.com/debian/dists/bookworm/InRelease' mirror.example.com_debian_dists_bookworm_InRelease 0
        address, dists, _ = line.lstrip("'").partition("/dists/")
        if dists and address.endswith("/debian"):
            mirror.setdefault("main", address)
        elif dists and address.endswith("/debian-security"):
            mirror.setdefault("security", address)
    if "main" not in mirror:
        return None
    mirror.setdefault("security", mirror["main"] + "-security")
    return mirror

def _mirror_at(address):
    """The archives of the mirror whose main one has this address: that for security differs in the part named debian."""
    parts = address.split("/")
    if "debian" not in parts:
        fail("%s is %s: a part of its path must be debian; in its place debian-security is where the security archive is" %
             (_MIRROR_VARIABLE, address))
    for i in reversed(range(len(parts))):
        if parts[i] == "debian":
            parts[i] = "debian-security"
            break
    return {"main": address, "security": "/".join(parts)}

def _through_apt(repository_ctx, mirror, packages):
    repository_ctx.report_progress("fetching %d Debian packages through apt" % len(packages))
    words = [_HELPER, "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "download-file"]
    for package in packages:
        words += [_url(mirror, package), str(repository_ctx.path(_file(package))), "SHA256:" + package["sha256"]]
    result = repository_ctx.execute(words, timeout = _TIMEOUT, environment = {"LC_ALL": "C"})
    if result.return_code != 0:
        _explain(mirror, packages, result)

def _explain(mirror, packages, result):
    """Fails with what apt said: a package that is gone will not come back, a network may."""
    gone = []
    for package in packages:
        failed = "Failed to fetch " + _url(mirror, package) + " "
        for line in result.stderr.split("\n"):
            if failed in line and ("404  Not Found" in line or "410  Gone" in line or "File not found" in line):
                gone.append(_name(package))
    if gone:
        fail("the mirror no longer has %s; run `%s`, or set %s to a mirror of the day of the lock, such as Debian's snapshot archive has" %
             (", ".join(gone), _LOCK_COMMAND, _MIRROR_VARIABLE))
    errors = [line for line in result.stderr.split("\n") if line.startswith("E: ")]
    fail("Debian packages could not be fetched from %s: %s" % (mirror["main"], "; ".join(errors) or result.stderr))

def _through_bazel(repository_ctx, mirror, packages):
    pending = []
    for package in packages:
        pending.append((package, repository_ctx.download(
            url = _url(mirror, package),
            output = _file(package),
            sha256 = package["sha256"],
            allow_fail = True,
            block = False,
        )))
    failed = [_name(package) for package, download in pending if not download.wait().success]
    if failed:
        fail("%s could not be fetched from %s. Where the warnings above say 404 the mirror no longer has it: run `%s`. Another mirror, or that of a past day, is named by %s" %
             (", ".join(failed), mirror["main"], _LOCK_COMMAND, _MIRROR_VARIABLE))
