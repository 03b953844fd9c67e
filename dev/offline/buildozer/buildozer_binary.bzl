"""The extension that would download buildozer. Its repository is there and empty."""

_empty = repository_rule(implementation = lambda rctx: rctx.file("BUILD.bazel", ""))

buildozer_binary = module_extension(
    implementation = lambda _: _empty(name = "buildozer_binary"),
    tag_classes = {"buildozer": tag_class({
        "sha256": attr.string_dict(),
        "version": attr.string(),
    })},
)
