"""Settings of what is delivered: optimised, for a platform that is named, whatever the machine that builds is."""

def _platform_impl(_settings, attr):
    return {
        "//command_line_option:compilation_mode": "opt",
        "//command_line_option:platforms": str(attr.platform),
    }

# For a rule with the attribute `platform`. There is one such transition, so that no program is built twice for the same platform;
# .bazelrc chooses the same settings for all else.
delivered_for_platform = transition(
    implementation = _platform_impl,
    inputs = [],
    outputs = [
        "//command_line_option:compilation_mode",
        "//command_line_option:platforms",
    ],
)
