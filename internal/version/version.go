// Package version knows which build this is, reads the versions of other builds, and judges how well two of them fit together.
package version

import (
	"strconv"
	"time"
)

// Set at link time: -ldflags "-X github.com/open-executor/executor/internal/version.version=1.2.3", and timestamp likewise
// with seconds since 1970.
var (
	version   = "0.0.0+dev"
	timestamp = ""
)

// Version is this build's version, "0.0.0+dev" when none was set at link time.
func Version() string { return version }

// Built is when this build was made, in UTC; the zero time when that was not set at link time.
func Built() time.Time { return parseTimestamp(timestamp) }

// IsDev reports whether a version is that of a development build.
func IsDev(version string) bool { return version == "dev" || version == "0.0.0+dev" }

func parseTimestamp(text string) time.Time {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
