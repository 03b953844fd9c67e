package apt

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/definition"
	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

// archive is an apt whose answers are made up, over a few packages with their dependencies.
type archive struct {
	t *testing.T

	mu sync.Mutex
	// statuses are what apt took as installed at each simulation.
	statuses []string
	config   string
	sources  string
}

// depends is what each package brings with it.
var depends = map[string][]string{"git": {"libc6", "perl", "zlib1g"}, "bash": {"libc6"}}

func version(name string) string { return "1:" + fmt.Sprint(len(name)) }

func paragraph(name, pool string) string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nMulti-Arch: foreign\nDepends: everything\nFilename: %s/%[1]s_1_amd64.deb\nSize: 100\nSHA256: %[4]s\n\n",
		name, version(name), pool, strings.Repeat("0a", 32))
}

func (a *archive) run(_ context.Context, env []string, name string, args ...string) (string, error) {
	if name == "apt-config" {
		return "APT \"\";\nAcquire::http::Proxy \"http://proxy:3128\";\nAPT::Update::Post-Invoke:: \"touch /ran\";\nDir::Etc \"etc/apt\";\n", nil
	}
	require.Len(a.t, env, 1, "%s works on its own state", name)
	configFile := strings.TrimPrefix(env[0], "APT_CONFIG=")
	dir := strings.TrimSuffix(configFile, "/apt.conf")
	a.mu.Lock()
	defer a.mu.Unlock()
	status, err := os.ReadFile(dir + "/status")
	require.NoError(a.t, err)
	switch {
	case name == "apt-get" && args[0] == "update":
		config, err := os.ReadFile(configFile)
		require.NoError(a.t, err)
		sources, err := os.ReadFile(dir + "/sources.list")
		require.NoError(a.t, err)
		a.config, a.sources = strings.ReplaceAll(string(config), dir, "DIR"), string(sources)
		return "", nil
	case name == "apt-get" && args[0] == "install":
		a.statuses = append(a.statuses, string(status))
		return a.simulate(string(status), args), nil
	case name == "apt-cache":
		var out strings.Builder
		for _, arg := range args[2:] {
			name, _, _ := strings.Cut(arg, "=")
			require.NotContains(a.t, string(status), "Package: "+name+"\n", "what is made up is not looked up")
			// zlib1g is in both archives, libc6 in that of security alone.
			if name != "zlib1g" && name != "libc6" {
				out.WriteString(paragraph(name, "pool/main"))
				continue
			}
			out.WriteString(paragraph(name, "pool/updates/main"))
			if name == "zlib1g" {
				out.WriteString(paragraph(name, "pool/main"))
			}
		}
		return out.String(), nil
	}
	return "", &ExitError{Program: name, Code: 100, Stderr: "no such command"}
}

func (a *archive) simulate(status string, args []string) string {
	var out strings.Builder
	seen := make(map[string]bool)
	var install func(name string)
	install = func(name string) {
		if seen[name] || strings.Contains(status, "Package: "+name+"\n") {
			return
		}
		seen[name] = true
		for _, needed := range depends[name] {
			install(needed)
		}
		fmt.Fprintf(&out, "Inst %s (%s Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])\n", name, version(name))
	}
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") && arg != "install" {
			install(arg)
		}
	}
	for name := range seen {
		fmt.Fprintf(&out, "Conf %s (%s Debian:12.15/oldstable [amd64])\n", name, version(name))
	}
	return out.String()
}

func define(t *testing.T, text string) *definition.Definition {
	t.Helper()
	d, err := definition.Parse([]byte(text))
	require.NoError(t, err)
	return d
}

func TestResolve(t *testing.T) {
	t.Parallel()
	a := &archive{t: t}
	d := define(t, `
suite: bookworm
architectures: [amd64]
sets:
  base: {packages: [bash]}
  git: {on: base, packages: [git], without: {perl: too large}}
  docker-client: {on: base, packages: [docker.io], dependencies: false}
`)
	lock, err := Resolve(t.Context(), a.run, Mirror{"http://m/debian", "http://m/debian-security"}, d, "amd64")
	require.NoError(t, err)
	var lines []string
	for _, p := range lock.Packages {
		lines = append(lines, fmt.Sprintf("%s: %s %s %s %d", p.Set, p, p.Archive, p.Path, p.Size))
	}
	require.Equal(t, []string{
		"base: libc6 1:5 security pool/updates/main/libc6_1_amd64.deb 100",
		"base: bash 1:4 main pool/main/bash_1_amd64.deb 100",
		"docker-client: docker.io 1:9 main pool/main/docker.io_1_amd64.deb 100",
		"git: zlib1g 1:6 main pool/main/zlib1g_1_amd64.deb 100",
		"git: git 1:3 main pool/main/git_1_amd64.deb 100",
	}, lines)
	_, err = lock.Bytes()
	require.NoError(t, err, "it can be written")

	require.Len(t, a.statuses, 2)
	require.Empty(t, a.statuses[0])
	require.Equal(t, 3, strings.Count(a.statuses[1], "Status: hold ok installed\n"), "base's two, and what is left out")
	require.Contains(t, a.statuses[1], "Package: perl\nVersion: 1:4\nArchitecture: amd64\nMulti-Arch: foreign\n")
	require.NotContains(t, a.statuses[1], "Depends")

	require.Contains(t, a.config, "Dir::State::lists \"DIR/lists\";\n")
	require.Contains(t, a.config, "APT::Architecture \"amd64\";\n")
	require.Contains(t, a.config, "Acquire::http::Proxy \"http://proxy:3128\";\n", "the way to the network is the machine's")
	require.NotContains(t, a.config, "Post-Invoke", "the machine's hooks are not run")
	require.Contains(t, a.sources, "http://m/debian bookworm-updates main\n")
	require.Contains(t, a.sources, "http://m/debian-security bookworm-security main\n")
}

func TestResolveTellsWhereItFailed(t *testing.T) {
	t.Parallel()
	a := &archive{t: t}
	d := define(t, "{suite: bookworm, architectures: [amd64], sets: {base: {packages: [bash]}, sh: {on: base, packages: [bash]}}}")
	_, err := Resolve(t.Context(), a.run, Mirror{"http://m/debian", "http://m/debian-security"}, d, "amd64")
	require.EqualError(t, err, "set sh for amd64: the sets below have all its packages")

	broken := func(ctx context.Context, env []string, name string, args ...string) (string, error) {
		if name == "apt-get" {
			return "", &ExitError{Program: name, Code: 100, Stderr: "Could not resolve 'm'"}
		}
		return a.run(ctx, env, name, args...)
	}
	_, err = Resolve(t.Context(), broken, Mirror{"http://m/debian", "http://m/debian-security"}, d, "amd64")
	require.ErrorContains(t, err, "fetching the lists of bookworm for amd64 from http://m/debian")
	require.ErrorContains(t, err, "Could not resolve 'm'")
}

func TestSimulations(t *testing.T) {
	t.Parallel()
	packages, err := parseSimulation("Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64]) []\n" +
		"Inst ca-certificates (20250419~deb12u2 Debian-Security:12/oldstable-security [all])\nConf libc6 (2.36 x [amd64])\n")
	require.NoError(t, err)
	require.Equal(t, []string{"libc6=2.36-9+deb12u14", "ca-certificates=20250419~deb12u2"}, packages)
	for out, want := range map[string]string{
		"": "the sets below have all its packages",
		"Inst openssl [3.0.20-1] (3.0.22-1 Debian [amd64])\n": "apt would replace openssl",
		"Remv perl [5.36]\n": "unexpected line",
		"Inst libc6\n":       "a line of another form than known",
	} {
		_, err := parseSimulation(out)
		require.ErrorContains(t, err, want, out)
	}
}

func TestPickTakesFilesOnly(t *testing.T) {
	t.Parallel()
	_, err := pick(nil, "git=1")
	require.EqualError(t, err, "the archive's lists have no file of git=1")
	_, err = toLocked("git", nil)
	require.ErrorContains(t, err, `its size "" is no number`)
	require.Equal(t, lockfile.Main, archiveOf(nil))
}
