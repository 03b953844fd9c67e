# shellcheck shell=bash
# Git, as new as the executor wants it: all supported bases have it.

readonly oldest=2.31

step() {
  packages git
  local version
  version=$(git version | sed -n 's/^git version \([0-9.]*\).*/\1/p')
  [[ $(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1) == "$oldest" ]] || stop "git is $version, and $oldest is the oldest that will do; take a newer base"
}
