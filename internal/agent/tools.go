package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/version"
)

// Tools looks at the programs that an executor needs. Its functions are seams for tests; NewTools gives the real ones.
type Tools struct {
	// LookPath finds a program as exec.LookPath does.
	LookPath func(name string) (string, error)
	// Output runs a program and returns its standard output, and beside an error all that it printed.
	Output func(ctx context.Context, name string, args ...string) (string, error)
}

// NewTools looks at this host's programs.
func NewTools() Tools { return Tools{LookPath: exec.LookPath, Output: output} }

// output runs a program in the environment that those of jobs get (spec section 5.6): the executor's own holds its password.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	for _, variable := range []string{"HOME", "PATH", "USER", "DOCKER_HOST"} {
		cmd.Env = append(cmd.Env, variable+"="+os.Getenv(variable))
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

// telemetryTime bounds all version commands together (spec section 1.1).
const telemetryTime = 5 * time.Second

// minGit is the oldest git that takes configuration from its environment (GIT_CONFIG_COUNT), where the clone's secret stands; spec
// section 10.2 asks for 2.26.
var minGit = semver.MustParse("2.31.0")

// versionCommand prints a tool's version behind a prefix (spec section 10.1).
type versionCommand struct {
	words  []string
	prefix string
}

var (
	gitVersion    = versionCommand{[]string{"git", "version"}, "git version "}
	srcVersion    = versionCommand{[]string{"src", "version", "-client-only"}, "Current version: "}
	dockerVersion = versionCommand{[]string{"docker", "version", "-f", "{{.Server.Version}}"}, ""}
)

func (t Tools) version(ctx context.Context, command versionCommand) (string, error) {
	out, err := t.Output(ctx, command.words[0], command.words[1:]...)
	if err != nil {
		return "", fmt.Errorf("'%s': %s: %w", strings.Join(command.words, " "), strings.TrimSpace(out), err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(strings.TrimPrefix(line, command.prefix)), nil
}

// Telemetry gathers what heartbeats say of this host. What can't be found out is logged and left empty.
func (t Tools) Telemetry(ctx context.Context, logger log.Logger, system, arch string, inKubernetes bool) api.Telemetry {
	ctx, cancel := context.WithTimeout(ctx, telemetryTime)
	defer cancel()
	ask := func(command versionCommand) string {
		answer, err := t.version(ctx, command)
		switch {
		case errors.Is(err, exec.ErrNotFound):
			logger.Info("tool is not installed", log.String("tool", command.words[0]))
		case err != nil:
			logger.Info("finding a tool's version failed", log.String("tool", command.words[0]), log.Error(err))
		}
		return answer
	}
	telemetry := api.Telemetry{OS: system, Architecture: arch, ExecutorVersion: version.Version(), GitVersion: ask(gitVersion)}
	if !inKubernetes {
		telemetry.DockerVersion = ask(dockerVersion)
		telemetry.SrcCliVersion = ask(srcVersion)
	}
	return telemetry
}

// installHints say how to mend a missing tool.
var installHints = map[string]string{
	"docker": "Install Docker Engine: https://docs.docker.com/engine/install/",
	"git":    "Use your package manager, for example: apt-get install git",
	"mke2fs": "On Debian: apt-get install e2fsprogs",
	"nft":    "On Debian: apt-get install nftables, or set EXECUTOR_VM_NETWORK=none to run microVMs without a network",

	"qemu-system-x86_64": "On Debian: apt-get install qemu-system-x86",
	"sqfstar":            "On Debian: apt-get install squashfs-tools",

	"src": "Run executor install src-cli, or set EXECUTOR_RUNTIME=docker when no job has src steps",
}

// CheckPresent returns an operator error that names every missing tool, in alphabetical order.
func (t Tools) CheckPresent(names ...string) error {
	slices.Sort(names)
	var lines []string
	for _, name := range names {
		if _, err := t.LookPath(name); err == nil {
			continue
		}
		lines = append(lines, name+" not found in PATH, is it installed?")
		if hint, ok := installHints[name]; ok {
			lines = append(lines, hint)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return fault.Operatorf("%s", strings.Join(lines, "\n"))
}

// CheckGit returns an operator error unless git is new enough.
func (t Tools) CheckGit(ctx context.Context) error {
	text, err := t.version(ctx, gitVersion)
	if err != nil {
		return fault.As(fault.Operator, err)
	}
	// Distributions append words: "2.39.5 (Apple Git-154)".
	number, _, _ := strings.Cut(text, " ")
	found, err := semver.NewVersion(number)
	if err != nil {
		return fault.Operatorf("git's version %q can't be read: %w", text, err)
	}
	if found.LessThan(minGit) {
		return fault.Operatorf("git is too old: found %s, want at least %d.%d", found, minGit.Major(), minGit.Minor())
	}
	return nil
}

// CheckSrc compares the installed src with the version that the frontend recommends: another major or minor version is an
// operator error, a lower patch a warning; development builds pass (spec section 10.2).
func (t Tools) CheckSrc(ctx context.Context, recommended string) (warning string, err error) {
	text, err := t.version(ctx, srcVersion)
	if err != nil {
		return "", fault.As(fault.Operator, err)
	}
	if text == "dev" || strings.HasSuffix(text, "+dev") {
		return "", nil
	}
	found, err := semver.NewVersion(text)
	if err != nil {
		return "", fault.Operatorf("src's version %q can't be read: %w", text, err)
	}
	want, err := semver.NewVersion(recommended)
	if err != nil {
		return "", fmt.Errorf("the frontend recommends src %q, which can't be read: %w", recommended, err)
	}
	switch {
	case found.Major() != want.Major() || found.Minor() != want.Minor():
		return "", fault.Operatorf("src %s does not fit the frontend, which recommends %s; run executor install src-cli", found, want)
	case found.Patch() < want.Patch():
		return fmt.Sprintf("src %s is behind the recommended %s", found, want), nil
	}
	return "", nil
}
