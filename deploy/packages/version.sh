#!/usr/bin/env bash
# Prints the version of the packages. It is valid for dpkg and for RPM alike, and sorts the same there: a pre-release comes before its
# release ("~"), commits after a release come after it ("+"), and characters that one of them forbids become dots.
#
#   version.sh [STATUS-FILE]   the file holds Bazel's lines "KEY value"; without it, or without STABLE_VERSION, it is a development build
set -euo pipefail

version=
if [[ -n ${1-} && -e $1 ]]; then
  version=$(sed -n 's/^STABLE_VERSION //p' "$1")
fi
version=${version:-0.0.0+dev}
version=${version#v}

# What git describe adds: commits since the tag, and changes since the commit.
since=
if [[ $version == *-dirty ]]; then
  version=${version%-dirty}
  since=+dirty
fi
if [[ $version =~ ^(.+)-([0-9]+-g[0-9a-f]+)$ ]]; then
  version=${BASH_REMATCH[1]}
  since=+${BASH_REMATCH[2]}${since/+/.}
fi
# A semantic version's pre-release.
if [[ $version =~ ^([0-9]+(\.[0-9]+)*)-(.*)$ ]]; then
  version=${BASH_REMATCH[1]}~${BASH_REMATCH[3]}
fi
if [[ $version == 0.0.0+dev ]]; then version=0.0.0~dev; fi
version=$version$since
version=${version//[^A-Za-z0-9.+~]/.}
# Both want a digit first.
if [[ $version != [0-9]* ]]; then version=0~$version; fi
printf '%s\n' "$version"
