package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm/boot"
)

// kernelMeta is the package of Debian and its kin that depends on their present kernel for virtual machines.
const kernelMeta = "linux-image-cloud-amd64"

// kernelTime bounds the download of a kernel.
const kernelTime = 10 * time.Minute

// agentName is the file name of the guest agent's program.
const agentName = "vmagent"

// agentDirs are where packages put it.
var agentDirs = []string{"/usr/lib/executor", "/usr/local/lib/executor"}

// Kernel is what microVMs boot.
type Kernel struct {
	// Tree is the root of an unpacked kernel package, or of a machine that has it installed. Empty: Debian's package is downloaded with apt-get.
	Tree string
	// Agent is the guest agent's program; empty: it is looked for beside this program, and where packages put it.
	Agent string
	// Dir is where kernel and initramfs go.
	Dir string
}

// Install makes kernel and initramfs. Its errors say what to install or to name.
func (k Kernel) Install(ctx context.Context) (err error) {
	agent := k.Agent
	if agent == "" {
		if agent, err = findAgent(); err != nil {
			return err
		}
	}
	tree := k.Tree
	if tree == "" {
		dir, err := os.MkdirTemp("", "executor-kernel-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		if tree, err = downloadKernel(ctx, dir); err != nil {
			return err
		}
	}
	return boot.Install(tree, agent, k.Dir)
}

func findAgent() (string, error) {
	dirs := agentDirs
	if self, err := os.Executable(); err == nil {
		dirs = append([]string{filepath.Dir(self)}, dirs...)
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, agentName)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fault.Operatorf("the guest agent %s is not in %s; name it with --agent (from the sources: CGO_ENABLED=0 go build ./cmd/vmagent)",
		agentName, strings.Join(dirs, ", "))
}

// downloadKernel unpacks the package of the kernel into a directory below dir, as apt verifies it. It needs no root.
func downloadKernel(ctx context.Context, dir string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, kernelTime, fmt.Errorf("not done after %s", kernelTime))
	defer cancel()
	const advice = "name an unpacked kernel package with --from, or install one with the package manager and use --from /"
	depends, err := output(ctx, dir, "apt-cache", "depends", kernelMeta)
	if err != nil {
		return "", fault.Operatorf("looking for a kernel for microVMs: %w; %s", err, advice)
	}
	name := dependency(depends)
	if name == "" {
		return "", fault.Operatorf("apt knows no kernel for microVMs (%s); run apt-get update, or %s", kernelMeta, advice)
	}
	if _, err := output(ctx, dir, "apt-get", "download", "-qq", name); err != nil {
		return "", fault.Operatorf("downloading %s: %w; %s", name, err, advice)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) != 1 {
		return "", errors.Join(err, fmt.Errorf("apt-get download brought %d packages of %s", len(packages), name))
	}
	tree := filepath.Join(dir, "tree")
	_, err = output(ctx, dir, "dpkg-deb", "-x", packages[0], tree)
	return tree, err
}

// dependency is the first package that apt-cache says a package depends on.
func dependency(depends string) string {
	for line := range strings.Lines(depends) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); found {
			return name
		}
	}
	return ""
}

// output runs a program; the error has what it said.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil && said.Len() > 0:
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}
	return string(out), nil
}
