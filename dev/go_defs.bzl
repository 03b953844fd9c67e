"""Go programs as this repository builds them. Gazelle writes go_binary rules that load this one (map_kind in //:BUILD.bazel)."""

load("@bazel_skylib//rules:build_test.bzl", "build_test")
load("@rules_go//go:def.bzl", _go_binary = "go_binary")

_VERSION = "github.com/open-executor/executor/internal/version."

def go_binary(name, **kwargs):
    """A static program that knows its version, and NAME_build_test, which fails when it can't be linked.

    Args:
      name: name of the program
      **kwargs: the attributes of rules_go's go_binary
    """
    _go_binary(
        name = name,
        gc_linkopts = [
            "-s",
            "-w",
        ],
        pure = "on",
        # Without --stamp the variables keep what the source says: a development build.
        x_defs = {
            _VERSION + "timestamp": "{VERSION_TIMESTAMP}",
            _VERSION + "version": "{STABLE_VERSION}",
        },
        **kwargs
    )
    build_test(
        name = name + "_build_test",
        targets = [name],
    )
