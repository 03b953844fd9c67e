// Package definition reads packages.yaml, which says what the image roots are made of. The comments of that file tell the fields.
package definition

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the file, in bytes.
const maxFile = 1 << 20

// Definition is the whole file.
type Definition struct {
	Suite         string            `yaml:"suite"`
	Architectures []string          `yaml:"architectures"`
	Sets          map[string]Set    `yaml:"sets"`
	Drop          []string          `yaml:"drop"`
	Scripts       map[string]string `yaml:"scripts"`
}

// Set is what goes into one layer.
type Set struct {
	On           string            `yaml:"on"`
	Packages     []string          `yaml:"packages"`
	Without      map[string]string `yaml:"without"`
	Dependencies *bool             `yaml:"dependencies"`
	Only         []string          `yaml:"only"`
	Drop         []string          `yaml:"drop"`
	Setuid       []string          `yaml:"setuid"`
	Users        []User            `yaml:"users"`
}

// Alone says that the packages' dependencies are left out.
func (s Set) Alone() bool { return s.Dependencies != nil && !*s.Dependencies }

// User is a user with a group of the same name and number.
type User struct {
	Name  string `yaml:"name"`
	ID    int    `yaml:"id"`
	Home  string `yaml:"home"`
	Shell string `yaml:"shell"`
}

// Read reads and checks the file.
func Read(file string) (*Definition, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

// Parse reads and checks the file's text. Unknown fields are refused.
func Parse(text []byte) (*Definition, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%d bytes; at most %d are allowed", len(text), maxFile)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var d Definition
	if err := decoder.Decode(&d); err != nil {
		return nil, err
	}
	return &d, d.check()
}

// Chain lists the sets whose layers lie below name's, lowest first, and name itself last.
func (d *Definition) Chain(name string) ([]string, error) {
	var chain []string
	for at := name; at != ""; at = d.Sets[at].On {
		if _, known := d.Sets[at]; !known {
			return nil, fmt.Errorf("no set %q; there are %s", at, strings.Join(slices.Sorted(maps.Keys(d.Sets)), ", "))
		}
		if slices.Contains(chain, at) {
			return nil, fmt.Errorf("set %q lies on itself", at)
		}
		chain = append(chain, at)
	}
	slices.Reverse(chain)
	return chain, nil
}

// Order lists all sets so that each comes after the one it lies on.
func (d *Definition) Order() []string {
	var order []string
	for _, name := range slices.Sorted(maps.Keys(d.Sets)) {
		chain, err := d.Chain(name)
		if err != nil {
			continue // refused when the file was read
		}
		for _, set := range chain {
			if !slices.Contains(order, set) {
				order = append(order, set)
			}
		}
	}
	return order
}

var (
	// words go into apt's command line and configuration.
	words        = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*$`)
	userNames    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	absolutePath = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)
)

func (d *Definition) check() error {
	if !words.MatchString(d.Suite) {
		return fmt.Errorf("suite %q: want a release of Debian, such as bookworm", d.Suite)
	}
	if len(d.Architectures) == 0 || len(d.Sets) == 0 {
		return errors.New("architectures and sets must name at least one each")
	}
	for _, architecture := range d.Architectures {
		if !words.MatchString(architecture) {
			return fmt.Errorf("architecture %q: want amd64, arm64 or another of Debian's", architecture)
		}
	}
	if err := checkPaths(d.Drop); err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	if err := checkReasons(d.Scripts); err != nil {
		return fmt.Errorf("scripts: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Sets)) {
		if err := d.checkSet(name); err != nil {
			return fmt.Errorf("set %q: %w", name, err)
		}
	}
	return nil
}

func (d *Definition) checkSet(name string) error {
	set := d.Sets[name]
	if !words.MatchString(name) {
		return errors.New("a name is made of small letters, digits, and the signs + - . among them")
	}
	if len(set.Packages) == 0 {
		return errors.New("it names no packages")
	}
	for _, name := range set.Packages {
		if !words.MatchString(name) {
			return fmt.Errorf("package %q: that is no package's name", name)
		}
		if _, out := set.Without[name]; out {
			return fmt.Errorf("package %s is asked for and left out", name)
		}
	}
	if err := checkReasons(set.Without); err != nil {
		return fmt.Errorf("without: %w", err)
	}
	for _, list := range [][]string{set.Only, set.Drop, set.Setuid} {
		if err := checkPaths(list); err != nil {
			return err
		}
	}
	for _, user := range set.Users {
		if !userNames.MatchString(user.Name) || user.ID < 1000 || user.ID > 59999 ||
			!absolutePath.MatchString(user.Home) || !absolutePath.MatchString(user.Shell) || path.Clean(user.Home) != user.Home {
			return fmt.Errorf("user %+v: want a name, an id from 1000 to 59999, and absolute paths as home and shell", user)
		}
	}
	_, err := d.Chain(name)
	return err
}

func checkReasons(reasons map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		if !words.MatchString(name) || strings.TrimSpace(reasons[name]) == "" {
			return fmt.Errorf("%q: want a package's name and a reason", name)
		}
	}
	return nil
}

func checkPaths(paths []string) error {
	for _, p := range paths {
		short := strings.TrimSuffix(p, "/")
		if short != path.Clean(short) || short == "." || strings.HasPrefix(short, "/") || strings.HasPrefix(short, "..") {
			return fmt.Errorf("path %q: want a clean one relative to the root, such as usr/bin/git or usr/share/man/", p)
		}
	}
	return nil
}
