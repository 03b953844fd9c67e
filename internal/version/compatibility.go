package version

import (
	"fmt"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
)

// datedTolerance is how far apart dated builds may be. Releases come monthly; the longest month, a release day moved by a
// week-end and time zones fit in (spec section A9).
const datedTolerance = 35 * 24 * time.Hour

// Compatibility judges an executor's version by the server's (spec section A9): jobs.UpToDate, jobs.Outdated when the executor
// should be updated, jobs.VersionAhead when the server should, or "" when nothing can be said.
//
//   - Releases fit when their majors are equal and their minors at most one apart, either way; patches and pre-releases don't
//     count. Of different majors the executor's is simply older or newer, however near the minors: 4.0 is ahead of 3.99.
//   - Dated builds fit when at most 35 days apart.
//   - A development build on either side, or a dated build and a release, give no verdict.
//
// An unparsable or empty version is an error. An executor that is not active deserves no verdict; callers see to that.
func Compatibility(server, executor string) (string, error) {
	ours, err := parse(server)
	if err != nil {
		return "", fmt.Errorf("server: %w", err)
	}
	theirs, err := parse(executor)
	if err != nil {
		return "", fmt.Errorf("executor: %w", err)
	}
	switch {
	case ours.kind != theirs.kind, ours.kind == dev:
		return "", nil
	case ours.kind == dated:
		return verdict(theirs.date.Sub(ours.date), datedTolerance), nil
	case ours.major != theirs.major:
		return verdict(theirs.major-ours.major, 0), nil
	default:
		return verdict(theirs.minor-ours.minor, 1), nil
	}
}

// verdict judges by how far the executor is ahead of the server; behind is negative.
func verdict[T int | time.Duration](ahead, tolerance T) string {
	switch {
	case ahead > tolerance:
		return jobs.VersionAhead
	case ahead < -tolerance:
		return jobs.Outdated
	default:
		return jobs.UpToDate
	}
}
