package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// parseRelease reads the version of a release, with or without the leading v. Source says where text stands.
func parseRelease(source, text string) (*semver.Version, error) {
	version, err := semver.StrictNewVersion(strings.TrimPrefix(text, releasePrefix))
	if err != nil {
		return nil, fmt.Errorf(`%s: %q is not a version of three numbers such as "5.3.0" or "5.3.1-rc.1": %w`, source, text, err)
	}
	if version.Metadata() != "" {
		return nil, fmt.Errorf(`%s: %q has build metadata, "+%s", which the tag of an image can't hold: leave it out`, source, text, version.Metadata())
	}
	return version, nil
}

var notInVersions = regexp.MustCompile(`[^0-9A-Za-z_-]+`)

const (
	// maxBranch keeps a version below the 128 characters that the tag of an image may have.
	maxBranch = 64
	// shortCommit is how many digits of the commit a dated version has.
	shortCommit = 12
)

// dated is the version of a build that is no release, as internal/version reads it: [branch_]build_date_commit (spec section B2). Main has no
// branch in it.
func (b Build) dated() string {
	parts := []string{fmt.Sprintf("%05s", b.Number), b.Time.UTC().Format(time.DateOnly), b.Commit[:shortCommit]}
	branch := b.Branch
	// The dot of a release branch makes it count as that release; any other would make the version unreadable.
	if !releaseBranch.MatchString(branch) {
		branch = notInVersions.ReplaceAllString(branch, "-")
		branch = strings.Trim(branch[:min(len(branch), maxBranch)], "-_")
	}
	if branch != "" && branch != mainBranch {
		parts = append([]string{branch}, parts...)
	}
	return strings.Join(parts, "_")
}

// family is the name under which clouds find the newest of a kind of machine image (spec section B4). Things is "" for executors. Series is the
// release's major and minor number.
func family(kind RunType, things, series string) string {
	parts := []string{"sourcegraph-executors"}
	if kind == InternalRelease {
		parts = append(parts, internalSuffix)
	}
	if things != "" {
		parts = append(parts, things)
	}
	return strings.Join(append(parts, cmp.Or(series, nightlySuffix)), "-")
}
