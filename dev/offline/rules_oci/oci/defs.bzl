"""The macros of rules_oci 2.x, as far as this repository's BUILD files need them. What is not supported is refused."""

load("//oci/private:image.bzl", "image_rule")
load("//oci/private:image_index.bzl", "image_index_rule")
load("//oci/private:load.bzl", "load_rule")
load("//oci/private:push.bzl", "push_rule")
load("//oci/private:texts.bzl", "common_attributes", "given_texts", "given_words", "refuse")

oci_image_rule = image_rule
oci_image_index_rule = image_index_rule
oci_push_rule = push_rule
oci_tarball_rule = load_rule

# Of every rule; "name" is a macro's own.
_COMMON = ["compatible_with", "deprecation", "exec_compatible_with", "features", "package_metadata", "restricted_to", "tags", "target_compatible_with", "testonly", "toolchains", "visibility"]

_IMAGE = ["architecture", "base", "os", "resource_set", "tars", "user", "variant", "workdir"]
_IMAGE_TEXTS = ["annotations", "cmd", "created", "entrypoint", "env", "exposed_ports", "labels", "volumes"]

def _digest(name, **kwargs):
    native.filegroup(
        name = name + ".digest",
        srcs = [name],
        output_group = "digest",
        **common_attributes(kwargs)
    )

def oci_image(name, **kwargs):
    """Makes the OCI layout of an image, and the target NAME.digest whose file holds the digest.

    Args:
      name: name of the layout
      **kwargs: the attributes of rules_oci's oci_image: lists, dicts and files as there
    """
    refuse("oci_image", name, kwargs, _COMMON + _IMAGE + _IMAGE_TEXTS)
    image_rule(
        **given_texts("oci_image", name, kwargs, _IMAGE_TEXTS)
    )
    _digest(name, **kwargs)

def oci_image_index(name, **kwargs):
    """Makes the OCI layout of an index of images, and the target NAME.digest.

    Args:
      name: name of the layout
      **kwargs: the attributes of rules_oci's oci_image_index
    """
    refuse("oci_image_index", name, kwargs, _COMMON + ["annotations", "images", "platforms"])
    image_index_rule(
        **given_texts("oci_image_index", name, kwargs, ["annotations"])
    )
    _digest(name, **kwargs)

def oci_load(name, **kwargs):
    """Loads an image into an engine (bazel run); the output group "tarball" is the file for it.

    Args:
      name: name of the target
      **kwargs: the attributes of rules_oci's oci_load
    """
    refuse("oci_load", name, kwargs, _COMMON + ["format", "image", "loader", "repo_tags"])
    load_rule(
        **given_words("oci_load", name, kwargs, "repo_tags")
    )

def oci_push(name, **kwargs):
    """Pushes an image or an index (bazel run).

    Args:
      name: name of the target
      **kwargs: the attributes of rules_oci's oci_push
    """
    refuse("oci_push", name, kwargs, _COMMON + ["image", "remote_tags", "repository", "repository_file"])
    push_rule(
        **given_words("oci_push", name, kwargs, "remote_tags")
    )
