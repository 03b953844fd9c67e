package version

import (
	"time"

	"github.com/open-executor/executor/internal/api"
)

// v2Since is the date from which on dated builds read v2 jobs; releases do since 4.3.
var v2Since = time.Date(2022, time.November, 24, 0, 0, 0, 0, time.UTC)

// JobPayloadVersion returns the newest version of the job payload that an executor of this version reads: api.JobV1 or api.JobV2
// (spec section A2.2). Development builds read v2, an executor that names no version v1. An unparsable version is an error.
//
// Releases are compared from 4.3.0-0 on, the lowest pre-release of 4.3.0, so that a 4.3.0-rc.1 reads v2.
func JobPayloadVersion(executor string) (int, error) {
	if executor == "" {
		return api.JobV1, nil
	}
	b, err := parse(executor)
	if err != nil {
		return 0, err
	}
	old := b.kind == dated && b.date.Before(v2Since) ||
		b.kind == release && (b.major < 4 || b.major == 4 && b.minor < 3)
	if old {
		return api.JobV1, nil
	}
	return api.JobV2, nil
}
