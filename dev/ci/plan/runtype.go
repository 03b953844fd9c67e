package plan

import (
	"fmt"
	"regexp"
	"strings"
)

// RunType says what a build is for, and so which steps it has.
type RunType int

const (
	// Default is a pull request, or a branch with no meaning of its own.
	Default RunType = iota
	// Main is the branch main: what it builds is published as nightly.
	Main
	// MainDryRun is a branch below main-dry-run/: as Main, but nothing is published.
	MainDryRun
	// ReleaseBranch is a branch such as 5.3: release images are built, not published.
	ReleaseBranch
	// Tagged is a release: a tag that begins with v.
	Tagged
	// InternalRelease is a release for the publisher's own use, in image families of its own.
	InternalRelease
	// ExecutorPatch is a branch below executor-patch-notest/: it publishes without tests, after a scan of the guest image.
	ExecutorPatch
)

// RunTypes lists all of them, in the order of docs/ci.md.
var RunTypes = []RunType{Default, Main, MainDryRun, ReleaseBranch, Tagged, InternalRelease, ExecutorPatch}

var runTypeNames = map[RunType]string{
	Default:         "default",
	Main:            "main",
	MainDryRun:      "main dry run",
	ReleaseBranch:   "release branch",
	Tagged:          "tagged release",
	InternalRelease: "internal release",
	ExecutorPatch:   "executor patch",
}

func (t RunType) String() string {
	if name, ok := runTypeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("run type %d", int(t))
}

const (
	mainBranch     = "main"
	dryRunPrefix   = "main-dry-run/"
	patchPrefix    = "executor-patch-notest/"
	releasePrefix  = "v"
	nightlySuffix  = "nightly"
	internalSuffix = "internal"
)

var releaseBranch = regexp.MustCompile(`^\d+\.\d+$`)

// RunType decides by the rules of spec section B4. A fork's branch may have any name, so a fork is never more than Default. The build of a tag
// has the tag's name as its branch, so with a tag the branch decides nothing: a tag that is called main is not main.
func (b Build) RunType() RunType {
	switch {
	case b.Fork:
		return Default
	case b.Internal:
		return InternalRelease
	case strings.HasPrefix(b.Tag, releasePrefix):
		return Tagged
	case b.Tag != "":
		return Default
	case b.Branch == mainBranch:
		return Main
	case strings.HasPrefix(b.Branch, dryRunPrefix):
		return MainDryRun
	case strings.HasPrefix(b.Branch, patchPrefix):
		return ExecutorPatch
	case releaseBranch.MatchString(b.Branch):
		return ReleaseBranch
	default:
		return Default
	}
}
