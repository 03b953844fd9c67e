package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/open-executor/executor/docker-images/debian/internal/apt"
	"github.com/open-executor/executor/docker-images/debian/internal/definition"
	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

// today is how one architecture's lock compares with the mirror.
type today struct {
	before, now *lockfile.Lock
	changes     []lockfile.Change
}

// compare resolves every architecture anew.
func compare(ctx context.Context, w world, dir string) (apt.Mirror, []today, error) {
	d, err := definition.Read(filepath.Join(dir, "packages.yaml"))
	if err != nil {
		return apt.Mirror{}, nil, err
	}
	mirror, err := apt.FindMirror(ctx, w.run, w.mirror)
	if err != nil {
		return mirror, nil, err
	}
	var all []today
	for _, architecture := range d.Architectures {
		before, err := lockfile.ReadOrEmpty(dir, architecture)
		if err != nil {
			// Written anew, a damaged lock is whole.
			fmt.Fprintln(w.stderr, err)
			before = &lockfile.Lock{}
		}
		now, err := apt.Resolve(ctx, w.run, mirror, d, architecture)
		if err != nil {
			return mirror, nil, err
		}
		if err := scriptsAreOfPackages(d, now); err != nil {
			return mirror, nil, err
		}
		all = append(all, today{before: before, now: now, changes: lockfile.Changes(before, now)})
	}
	return mirror, all, nil
}

// scriptsAreOfPackages refuses reasons for packages that no set has any more.
func scriptsAreOfPackages(d *definition.Definition, now *lockfile.Lock) error {
	for _, name := range slices.Sorted(maps.Keys(d.Scripts)) {
		if !slices.ContainsFunc(now.Packages, func(p lockfile.Package) bool { return p.Name == name }) {
			return fmt.Errorf("packages.yaml speaks of the scripts of %s, which is in no set", name)
		}
	}
	return nil
}

func lock(ctx context.Context, w world, flags *flag.FlagSet, args []string) error {
	dir := place(flags)
	ifStale := flags.Bool("if-stale", false, "")
	if err := errors.Join(flags.Parse(args), noMore(flags)); err != nil {
		return err
	}
	if *ifStale {
		is, err := stale(ctx, w, *dir)
		if err != nil {
			return err
		}
		if !is {
			fmt.Fprintln(w.stdout, "the mirror has all that is locked")
			return nil
		}
	}
	_, all, err := compare(ctx, w, *dir)
	if err != nil {
		return err
	}
	tell(w, all)
	for _, t := range all {
		written, err := t.now.Write(*dir)
		if err != nil {
			return err
		}
		what := "unchanged"
		if written {
			what = "written"
		}
		fmt.Fprintf(w.stdout, "%s: %d packages, %s\n", lockfile.File(*dir, t.now.Architecture), len(t.now.Packages), what)
	}
	return nil
}

// stale says whether a lock is missing, or names a package that the mirror no longer has. It costs a third of a comparison.
func stale(ctx context.Context, w world, dir string) (bool, error) {
	d, err := definition.Read(filepath.Join(dir, "packages.yaml"))
	if err != nil {
		return false, err
	}
	mirror, err := apt.FindMirror(ctx, w.run, w.mirror)
	if err != nil {
		return false, err
	}
	var doubtful []lockfile.Package
	for _, architecture := range d.Architectures {
		lock, err := lockfile.ReadOrEmpty(dir, architecture)
		if err != nil || len(lock.Packages) == 0 {
			return true, nil
		}
		unlisted, err := apt.Unlisted(ctx, w.run, mirror, lock)
		if err != nil {
			return false, err
		}
		doubtful = append(doubtful, unlisted...)
	}
	vanished, err := gone(ctx, w, mirror, doubtful)
	for _, p := range vanished {
		fmt.Fprintf(w.stdout, "gone: %s (%s)\n", p, p.Path)
	}
	return len(vanished) > 0, err
}

func check(ctx context.Context, w world, flags *flag.FlagSet, args []string) error {
	dir := place(flags)
	if err := errors.Join(flags.Parse(args), noMore(flags)); err != nil {
		return err
	}
	mirror, all, err := compare(ctx, w, *dir)
	if err != nil {
		return err
	}
	tell(w, all)
	var doubtful []lockfile.Package
	for _, t := range all {
		for _, change := range t.changes {
			if change.Old != nil {
				doubtful = append(doubtful, *change.Old)
			}
		}
	}
	vanished, err := gone(ctx, w, mirror, doubtful)
	if err != nil {
		return err
	}
	for _, p := range vanished {
		fmt.Fprintf(w.stdout, "gone: %s (%s)\n", p, p.Path)
	}
	if len(vanished) > 0 {
		return errGone
	}
	fmt.Fprintf(w.stdout, "the mirror has all that is locked; lock would change %d packages\n", changed(all))
	return nil
}

// tell prints the changes of locks that there were.
func tell(w world, all []today) {
	for _, t := range all {
		for _, change := range t.changes {
			if len(t.before.Packages) > 0 {
				fmt.Fprintf(w.stdout, "%s %s\n", t.now.Architecture, change)
			}
		}
	}
}

// changed counts the packages that a new lock would have otherwise.
func changed(all []today) int {
	count := 0
	for _, t := range all {
		count += len(t.changes)
	}
	return count
}

// gone finds those of the packages that the mirror no longer has. Archives keep what they replaced for a while, so it fetches them to find out.
func gone(ctx context.Context, w world, mirror apt.Mirror, doubtful []lockfile.Package) ([]lockfile.Package, error) {
	if len(doubtful) == 0 {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "debian-check-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_, err = apt.Fetch(ctx, w.run, mirror, doubtful, dir)
	if vanished, ok := errors.AsType[*apt.GoneError](err); ok {
		return vanished.Packages, nil
	}
	return nil, err
}
