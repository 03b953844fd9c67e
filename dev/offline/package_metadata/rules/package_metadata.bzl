"""The macro package_metadata, which here tells nothing."""

_package_metadata = rule(
    implementation = lambda _: [],
    attrs = {
        "attributes": attr.label_list(),
        "purl": attr.string(),
    },
)

def package_metadata(name, **kwargs):
    """Makes a target that tells nothing.

    Args:
      name: name of the target
      **kwargs: what the real macro takes
    """

    # A package's default points at this target: it must not point at itself.
    _package_metadata(
        name = name,
        applicable_licenses = [],
        **kwargs
    )
