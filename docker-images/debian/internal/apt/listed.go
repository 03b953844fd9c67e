package apt

import (
	"context"

	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

// Unlisted returns the locked packages whose files the archives' lists no longer have. An archive keeps what it took off its lists for a
// while, so that they may still be there: Fetch tells.
func Unlisted(ctx context.Context, run Runner, mirror Mirror, lock *lockfile.Lock) ([]lockfile.Package, error) {
	s, remove, err := newState(ctx, run, mirror, lock.Suite, lock.Architecture)
	if err != nil {
		return nil, err
	}
	defer remove()
	var names []string
	for _, p := range lock.Packages {
		names = append(names, p.Name)
	}
	found, err := s.showAll(ctx, names...)
	if err != nil {
		return nil, err
	}
	listed := make(map[string]bool)
	for _, p := range found {
		listed[p.Get("SHA256")] = true
	}
	var unlisted []lockfile.Package
	for _, p := range lock.Packages {
		if !listed[p.SHA256] {
			unlisted = append(unlisted, p)
		}
	}
	return unlisted, nil
}
