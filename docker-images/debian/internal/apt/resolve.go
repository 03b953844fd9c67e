package apt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
	"github.com/open-executor/executor/docker-images/debian/internal/definition"
	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

// Resolve returns a lock of one architecture: the packages of each set and all that they depend on, as apt would choose them today, less
// what the sets below have. The suite's updates and security updates count.
func Resolve(ctx context.Context, run Runner, mirror Mirror, d *definition.Definition, architecture string) (*lockfile.Lock, error) {
	s, remove, err := newState(ctx, run, mirror, d.Suite, architecture)
	if err != nil {
		return nil, err
	}
	defer remove()
	r := &resolver{state: s, definition: d, architecture: architecture, chosen: make(map[string][]deb.Paragraph)}
	if err := r.leftOut(ctx); err != nil {
		return nil, err
	}
	lock := &lockfile.Lock{Suite: d.Suite, Architecture: architecture}
	for _, set := range d.Order() {
		if err := r.resolve(ctx, set); err != nil {
			return nil, fmt.Errorf("set %s for %s: %w", set, architecture, err)
		}
		for _, p := range r.chosen[set] {
			locked, err := toLocked(set, p)
			if err != nil {
				return nil, fmt.Errorf("set %s for %s: package %s: %w", set, architecture, p.Get("Package"), err)
			}
			lock.Packages = append(lock.Packages, locked)
		}
	}
	return lock, nil
}

type resolver struct {
	*state
	definition   *definition.Definition
	architecture string
	// without are the paragraphs of packages that sets leave out, by name.
	without map[string]deb.Paragraph
	// chosen are those of each set that is resolved.
	chosen map[string][]deb.Paragraph
}

// leftOut looks up what sets leave out: apt is told that exactly these versions are installed.
func (r *resolver) leftOut(ctx context.Context) error {
	names := make(map[string]bool)
	for _, set := range r.definition.Sets {
		for name := range set.Without {
			names[name] = true
		}
	}
	found, err := r.show(ctx, slices.Sorted(maps.Keys(names))...)
	if err != nil {
		return fmt.Errorf("packages under without: %w", err)
	}
	r.without = make(map[string]deb.Paragraph)
	for _, p := range found {
		r.without[p.Get("Package")] = p
	}
	return nil
}

func (r *resolver) resolve(ctx context.Context, name string) error {
	set := r.definition.Sets[name]
	chain, err := r.definition.Chain(name)
	if err != nil {
		return err
	}
	var below []deb.Paragraph
	for _, lower := range chain[:len(chain)-1] {
		below = append(below, r.chosen[lower]...)
	}
	wanted := set.Packages
	if !set.Alone() {
		pretended := slices.Clone(below)
		for _, out := range slices.Sorted(maps.Keys(set.Without)) {
			if p, known := r.without[out]; known && !holds(below, out) {
				pretended = append(pretended, p)
			}
		}
		if err := r.installed(pretended); err != nil {
			return err
		}
		out, err := r.apt(ctx, "apt-get", append([]string{"install", "--simulate", "-qq", "--no-remove"}, set.Packages...)...)
		if err != nil {
			return err
		}
		if wanted, err = parseSimulation(out); err != nil {
			return err
		}
	}
	// None of these is among what apt takes as installed, which would hide the archive's paragraph.
	found, err := r.show(ctx, wanted...)
	if err != nil {
		return err
	}
	for _, want := range wanted {
		p, err := pick(found, want)
		if err != nil {
			return err
		}
		r.chosen[name] = append(r.chosen[name], p)
	}
	return nil
}

func holds(packages []deb.Paragraph, name string) bool {
	return slices.ContainsFunc(packages, func(p deb.Paragraph) bool { return p.Get("Package") == name })
}

// simulated is a line of apt's simulation: Inst NAME [OLD] (VERSION ARCHIVES [ARCHITECTURE]).
var simulated = regexp.MustCompile(`^Inst (\S+) (\[\S+\] )?\((\S+) .*\[[a-z0-9-]+\]\)`)

// parseSimulation returns the packages that apt would install, as name=version.
func parseSimulation(out string) ([]string, error) {
	var packages []string
	for line := range strings.Lines(out) {
		switch first, _, _ := strings.Cut(line, " "); first {
		case "Conf", "":
			continue
		case "Inst":
		default:
			return nil, fmt.Errorf("apt-get: unexpected line %.100q", line)
		}
		match := simulated.FindStringSubmatch(line)
		if match == nil {
			return nil, fmt.Errorf("apt-get: a line of another form than known: %.100q", line)
		}
		if match[2] != "" {
			return nil, fmt.Errorf("apt would replace %s, which the sets below have or this one leaves out", match[1])
		}
		packages = append(packages, match[1]+"="+match[3])
	}
	if len(packages) == 0 {
		return nil, errors.New("the sets below have all its packages")
	}
	return packages, nil
}

// pick returns the paragraph of name or name=version; where more archives have the same, that of the main one, which keeps it longest.
func pick(found []deb.Paragraph, want string) (deb.Paragraph, error) {
	name, version, exact := strings.Cut(want, "=")
	var picked deb.Paragraph
	for _, p := range found {
		if p.Get("Package") != name || exact && p.Get("Version") != version || p.Get("SHA256") == "" {
			continue
		}
		if picked == nil || archiveOf(picked) != lockfile.Main && archiveOf(p) == lockfile.Main {
			picked = p
		}
	}
	if picked == nil {
		return nil, fmt.Errorf("the archive's lists have no file of %s", want)
	}
	return picked, nil
}

// archiveOf tells the archive by the path: the security archive's pool begins with updates.
func archiveOf(p deb.Paragraph) string {
	if strings.HasPrefix(p.Get("Filename"), "pool/updates/") {
		return lockfile.Security
	}
	return lockfile.Main
}

func toLocked(set string, p deb.Paragraph) (lockfile.Package, error) {
	size, err := strconv.ParseInt(p.Get("Size"), 10, 64)
	if err != nil {
		return lockfile.Package{}, fmt.Errorf("its size %q is no number", p.Get("Size"))
	}
	return lockfile.Package{
		Set:          set,
		Name:         p.Get("Package"),
		Version:      p.Get("Version"),
		Architecture: p.Get("Architecture"),
		Archive:      archiveOf(p),
		Path:         p.Get("Filename"),
		Size:         size,
		SHA256:       p.Get("SHA256"),
	}, nil
}
