"""What all rules that make OCI layouts have in common."""

TOOL = {
    "_tool": attr.label(
        default = "//ociimage",
        cfg = "exec",
        executable = True,
    ),
}

def make_layout(ctx, command, args, inputs, mnemonic):
    """Runs the tool that makes a layout.

    Args:
      ctx: the rule's context
      command: what the tool is to make
      args: its command line
      inputs: the files that it reads
      mnemonic: the action's

    Returns:
      The providers of the rule.
    """
    out = ctx.actions.declare_directory(ctx.label.name)
    digest = ctx.actions.declare_file(ctx.label.name + ".json.sha256")
    common = ctx.actions.args()
    common.add(command)
    common.add(ctx.label, format = "--target=%s")
    common.add(out.path, format = "--out=%s")
    common.add(digest, format = "--digest=%s")
    ctx.actions.run(
        arguments = [common, args],
        executable = ctx.executable._tool,
        inputs = inputs,
        mnemonic = mnemonic,
        outputs = [out, digest],
        progress_message = mnemonic + " %{label}",
    )
    return [
        DefaultInfo(files = depset([out])),
        OutputGroupInfo(digest = depset([digest])),
    ]
