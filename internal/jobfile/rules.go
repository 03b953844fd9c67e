package jobfile

import (
	"regexp"
	"time"
)

// rule is what a text has to look like.
type rule struct {
	what, wants string
	pattern     *regexp.Regexp
}

var (
	queueRule = rule{"queue name", "it begins with a small letter; small letters, digits and - may follow, 64 characters in all",
		regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)}
	keyRule = rule{"step key", "it has letters, digits, dots, underscores and dashes, at most 100",
		regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)}
	envRule = rule{"name of a variable", "it begins with a letter or underscore; letters, digits and underscores may follow",
		regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)}
	imageRule = rule{"image", `it is a reference such as "debian:12", without spaces and not beginning with -`,
		regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,511}$`)}
	repositoryRule = rule{"repository name", `it is a name such as "my/repo" of letters, digits and . _ ~ + @ - with single slashes in between`,
		regexp.MustCompile(`^[A-Za-z0-9._~+@][A-Za-z0-9._~+@-]*(/[A-Za-z0-9._~+@-]+)*$`)}
	commitRule = rule{"branch, tag or commit", "it can't begin with - or / or have spaces or any of ~ ^ : ? * [ \\ or .. in it",
		regexp.MustCompile(`^[^\x00-\x20\x7f~^:?*\[\\/-][^\x00-\x20\x7f~^:?*\[\\]*$`)}
)

// ValidQueue reports whether name can be a queue's.
func ValidQueue(name string) bool { return queueRule.pattern.MatchString(name) }

const (
	minTimeout = time.Second
	maxTimeout = 7 * 24 * time.Hour
	maxRetries = 10
	// reservedDir is where executors write step scripts (spec section 4.2.2).
	reservedDir = ".sourcegraph-executor"
	// maxName and maxPath are the usual bounds of file systems.
	maxName = 255
	maxPath = 4096 - 256
)
