// Package selection chooses the runtime of an executor (spec section 5.0).
package selection

import (
	"strings"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

// Auto is the EXECUTOR_RUNTIME that leaves the choice to us.
const Auto = "auto"

// Input is what the choice depends on.
type Input struct {
	// Wanted is EXECUTOR_RUNTIME: Auto, which "" means too, or a runtime.Kind.
	Wanted string
	// UseFirecracker is EXECUTOR_USE_FIRECRACKER, or its default.
	UseFirecracker bool
	// InKubernetes tells whether the executor runs in a Kubernetes pod.
	InKubernetes bool
	// LookPath finds a program, as exec.LookPath does.
	LookPath func(program string) (string, error)
}

// Choose returns the runtime to use. When it can't be used here the error is an operator error that says what to set. Auto never
// means the shell, and never falls back to less isolation than was asked for.
func Choose(in Input) (runtime.Kind, error) {
	switch in.Wanted {
	case "", Auto:
		return automatic(in)
	case string(runtime.Docker):
		// Only src steps need the src program, and they say so themselves.
		return having(runtime.Docker, in.LookPath, "EXECUTOR_RUNTIME is docker", "docker", "git")
	case string(runtime.Shell):
		return having(runtime.Shell, in.LookPath, "EXECUTOR_RUNTIME is shell", "git")
	case string(runtime.Firecracker):
		return having(runtime.Firecracker, in.LookPath, "EXECUTOR_RUNTIME is firecracker", machinePrograms...)
	case string(runtime.Kubernetes):
		return having(runtime.Kubernetes, in.LookPath, "EXECUTOR_RUNTIME is kubernetes", "git")
	}
	return "", fault.Operatorf("EXECUTOR_RUNTIME is %q; it has to be auto, docker, firecracker, kubernetes or shell", in.Wanted)
}

func automatic(in Input) (runtime.Kind, error) {
	switch {
	case in.UseFirecracker:
		return having(runtime.Firecracker, in.LookPath, "EXECUTOR_USE_FIRECRACKER is true, as by default on Linux (EXECUTOR_USE_FIRECRACKER=false runs jobs in containers)", machinePrograms...)
	case in.InKubernetes:
		return having(runtime.Kubernetes, in.LookPath, "the executor runs in Kubernetes", "git")
	}
	return having(runtime.Docker, in.LookPath, "runtime is not configured", "docker", "git", "src")
}

// machinePrograms are what every microVM needs; its monitor is the driver's to find.
var machinePrograms = []string{"git", "mke2fs", "sqfstar"}

// having returns kind when all the programs are there.
func having(kind runtime.Kind, lookPath func(string) (string, error), why string, programs ...string) (runtime.Kind, error) {
	var missing []string
	for _, program := range programs {
		if _, err := lookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) == 0 {
		return kind, nil
	}
	return "", fault.Operatorf("%s: not found in PATH: %s; install what is missing, or set EXECUTOR_RUNTIME to another runtime (docker needs docker and git; firecracker needs git, mke2fs and sqfstar, on Debian in e2fsprogs and squashfs-tools; shell, without isolation, needs git)", why, strings.Join(missing, ", "))
}
