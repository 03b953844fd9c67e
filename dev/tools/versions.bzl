"""Versions that more than MODULE.bazel has to know."""

# Of @src-cli-linux-amd64 and @src-cli-linux-arm64 in MODULE.bazel, which can't load this.
SRC_CLI_VERSION = "6.1.0"
