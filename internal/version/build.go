package version

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// kind says how a version names its build.
type kind int

const (
	// dev: a build from a working copy; nothing is known of it.
	dev kind = iota
	// release: major.minor and more; what comes after the minor decides nothing here.
	release
	// dated: cut from the main branch on a date.
	dated
)

// build is a version, read.
type build struct {
	kind         kind
	major, minor int
	date         time.Time
}

var (
	// releasePattern takes 5.2, v5.2.1, 5.2.0-rc.1+meta, and the daily builds of a release branch such as 5.2.x or
	// 5.2_2023-09-01_0123abc, which count as their x.y.
	releasePattern = regexp.MustCompile(`^v?(\d{1,9})\.(\d{1,9})(?:\.(?:\d+|x))?(?:[-+_][0-9A-Za-z.+_-]+)?$`)
	// datedPattern takes 168065_2022-08-25_0123abc and 168065_2022-08-25_5.2-0123abc.
	datedPattern = regexp.MustCompile(`^[0-9A-Za-z_-]+_(\d{4}-\d{2}-\d{2})_[0-9A-Za-z][0-9A-Za-z._-]*$`)
)

func parse(text string) (build, error) {
	if IsDev(text) {
		return build{kind: dev}, nil
	}
	if parts := releasePattern.FindStringSubmatch(text); parts != nil {
		major, majorErr := strconv.Atoi(parts[1])
		minor, minorErr := strconv.Atoi(parts[2])
		return build{kind: release, major: major, minor: minor}, cmp.Or(majorErr, minorErr)
	}
	if parts := datedPattern.FindStringSubmatch(text); parts != nil {
		date, err := time.Parse(time.DateOnly, parts[1])
		if err != nil {
			return build{}, fmt.Errorf("version %q has no valid date: %w", text, err)
		}
		return build{kind: dated, date: date}, nil
	}
	return build{}, fmt.Errorf(`version %q is neither a release ("5.2.0") nor a dated build ("<n>_<YYYY-MM-DD>_<hash>") nor a development build ("0.0.0+dev")`, text)
}
