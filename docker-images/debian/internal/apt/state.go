package apt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
)

// keyring holds Debian's keys on every Debian machine. Without it apt takes those that the machine trusts for everything.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// state is an apt of its own for one architecture and suite: its lists, its caches, and a list of installed packages that is made up. Of the
// machine's configuration only the ways out to the network are taken over.
type state struct {
	run    Runner
	config string
	status string
}

// newState makes a state, and fetches the lists. What it returns besides removes it.
func newState(ctx context.Context, run Runner, mirror Mirror, suite, architecture string) (s *state, remove func(), err error) {
	made, err := os.MkdirTemp("", "debian-apt-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { _ = os.RemoveAll(made) }
	dir, err := filepath.EvalSymlinks(made)
	if err == nil {
		s, err = fillState(ctx, run, dir, mirror, suite, architecture)
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	return s, remove, nil
}

func fillState(ctx context.Context, run Runner, dir string, mirror Mirror, suite, architecture string) (*state, error) {
	s := &state{run: run, config: filepath.Join(dir, "apt.conf"), status: filepath.Join(dir, "status")}
	network, err := s.network(ctx)
	if err != nil {
		return nil, err
	}
	for _, folder := range []string{"parts", "lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, err
		}
	}
	options := ""
	if _, err := os.Stat(keyring); err == nil {
		options = "[signed-by=" + keyring + "] "
	}
	sources := fmt.Sprintf("deb %[1]s%[2]s %[3]s main\ndeb %[1]s%[2]s %[3]s-updates main\ndeb %[1]s%[4]s %[3]s-security main\n",
		options, mirror.Main, suite, mirror.Security)
	// The configuration may hold a proxy's password.
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "sources.list"), []byte(sources), 0o600),
		os.WriteFile(s.config, []byte(configuration(dir, architecture)+network), 0o600),
		s.installed(nil),
	)
	if err != nil {
		return nil, err
	}
	if _, err := s.apt(ctx, "apt-get", "update", "-q", "--error-on=any"); err != nil {
		return nil, fmt.Errorf("fetching the lists of %s for %s from %s: %w", suite, architecture, mirror.Main, err)
	}
	return s, nil
}

func configuration(dir, architecture string) string {
	var text strings.Builder
	for _, option := range [][2]string{
		{"Dir::Etc::main", dir + "/none"},
		{"Dir::Etc::parts", dir + "/parts"},
		{"Dir::Etc::sourcelist", dir + "/sources.list"},
		{"Dir::Etc::sourceparts", dir + "/parts"},
		{"Dir::Etc::preferences", dir + "/none"},
		{"Dir::Etc::preferencesparts", dir + "/parts"},
		{"Dir::State", dir},
		{"Dir::State::lists", dir + "/lists"},
		{"Dir::State::status", dir + "/status"},
		{"Dir::Cache", dir},
		{"APT::Architecture", architecture},
		{"APT::Architectures::", architecture},
		{"APT::Install-Recommends", "false"},
		{"APT::Install-Suggests", "false"},
		// The directory is nobody else's business, and so not readable by the user that apt would become.
		{"APT::Sandbox::User", "root"},
		{"Acquire::Languages", "none"},
		{"Acquire::Retries", "3"},
	} {
		fmt.Fprintf(&text, "%s \"%s\";\n", option[0], option[1])
	}
	return text.String()
}

// network returns those lines of the machine's configuration that say how to reach a mirror.
func (s *state) network(ctx context.Context) (string, error) {
	out, err := s.run(ctx, nil, "apt-config", "dump")
	if err != nil {
		return "", err
	}
	var kept strings.Builder
	for line := range strings.Lines(out) {
		for _, prefix := range []string{"Acquire::http::", "Acquire::https::", "Acquire::ForceIPv"} {
			if strings.HasPrefix(line, prefix) {
				kept.WriteString(line)
			}
		}
	}
	return kept.String(), nil
}

// apt runs one of apt's programs over this state.
func (s *state) apt(ctx context.Context, name string, args ...string) (string, error) {
	return s.run(ctx, []string{"APT_CONFIG=" + s.config}, name, args...)
}

// installed makes apt believe that these packages are installed, with nothing that they depend on. They are held, or apt would replace them
// by the archive's, which look different.
func (s *state) installed(packages []deb.Paragraph) error {
	var text strings.Builder
	for _, p := range packages {
		for _, name := range []string{"Package", "Version", "Architecture", "Multi-Arch", "Provides", "Source"} {
			if value := p.Get(name); value != "" {
				fmt.Fprintf(&text, "%s: %s\n", name, value)
			}
		}
		text.WriteString("Status: hold ok installed\nMaintainer: nobody\nDescription: taken as installed\n\n")
	}
	return os.WriteFile(s.status, []byte(text.String()), 0o600)
}

// show returns the archive's paragraphs of packages, each "name" or "name=version": of the newest version where none is given.
func (s *state) show(ctx context.Context, packages ...string) ([]deb.Paragraph, error) {
	return s.paragraphs(ctx, "--no-all-versions", packages)
}

// showAll returns the paragraphs of all versions of packages. Names that the archive no longer has are passed over.
func (s *state) showAll(ctx context.Context, names ...string) ([]deb.Paragraph, error) {
	return s.paragraphs(ctx, "--all-versions", names)
}

func (s *state) paragraphs(ctx context.Context, versions string, packages []string) ([]deb.Paragraph, error) {
	if len(packages) == 0 {
		return nil, nil
	}
	out, err := s.apt(ctx, "apt-cache", append([]string{"show", versions}, packages...)...)
	if err != nil {
		return nil, err
	}
	all, err := deb.ParseParagraphs(out)
	if err != nil {
		return nil, fmt.Errorf("apt-cache show: %w", err)
	}
	return all, nil
}
