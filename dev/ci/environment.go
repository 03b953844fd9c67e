package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// truth reads a variable that says yes or no; unset and empty are no.
func truth(env func(string) string, name string) (bool, error) {
	text := env(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s is %q: it may be true, false or unset", name, text)
	}
	return value, nil
}

// remote splits what stands between scheme, user and port of a git address: host and path.
var remote = regexp.MustCompile(`^(?:[a-z+]+://)?(?:[^@/]*@)?([^:/]+)(?::[0-9]+/|[:/])/*(.+)$`)

// fork reports whether a pull request's commits come from a repository other than the one that is built. Buildkite names both, often in
// different forms: git@host:owner/name.git, https://host/owner/name. What can't be compared counts as a fork.
func fork(repository, pullRequest string) bool {
	return pullRequest != "" && place(repository) != place(pullRequest)
}

func place(address string) string {
	parts := remote.FindStringSubmatch(strings.ToLower(address))
	if parts == nil {
		return address
	}
	return parts[1] + "/" + strings.TrimSuffix(strings.TrimRight(parts[2], "/"), ".git")
}
