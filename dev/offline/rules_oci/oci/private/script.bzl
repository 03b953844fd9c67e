"""Scripts that `bazel run` starts, and other targets as data of theirs."""

_HEAD = """#!/usr/bin/env bash
set -euo pipefail
# Run by Bazel it has runfiles of its own; as data of another target it lies in that one's.
runfiles=$0.runfiles
if [[ ! -d $runfiles ]]; then runfiles=${RUNFILES_DIR:-${TEST_SRCDIR-}}; fi
if [[ -z $runfiles && $0 == *.runfiles/* ]]; then runfiles=${0%%.runfiles/*}.runfiles; fi
[[ -d $runfiles ]] || { echo "the runfiles of $0 can't be found" >&2; exit 1; }
runfiles=$(cd "$runfiles" && pwd)
export RUNFILES_DIR=$runfiles
"""

def quote(text):
    """Returns a word of a shell.

    Args:
      text: what it stands for
    """
    return "'" + text.replace("'", "'\\''") + "'"

def runfile(ctx, file):
    """Returns a word of the script for a file's path.

    Args:
      ctx: the rule's context
      file: a file among the runfiles
    """
    path = file.short_path
    return '"$runfiles"/' + quote(path[len("../"):] if path.startswith("../") else ctx.workspace_name + "/" + path)

def write_script(ctx, body):
    """Returns the script's file.

    Args:
      ctx: the rule's context
      body: lines of bash, after those that find the runfiles
    """
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(script, _HEAD + body + "\n", is_executable = True)
    return script

def words_file(ctx, attribute):
    """Finds the file with tags, or makes it when they were given as a list.

    Args:
      ctx: the rule's context
      attribute: the attribute for a file

    Returns:
      The file.
    """
    file = getattr(ctx.file, attribute)
    if file:
        return file
    file = ctx.actions.declare_file("%s.%s.txt" % (ctx.label.name, attribute))
    ctx.actions.write(file, "".join([word + "\n" for word in ctx.attr.words]))
    return file
