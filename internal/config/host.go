package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Host is what defaults and rules depend on besides the environment.
type Host struct {
	// OS and Arch are Go's names: linux, amd64.
	OS, Arch string
	// Version is the program's build version; it names the default images. Empty for a development build.
	Version string
	// Hostname is the operating system's name of the machine.
	Hostname string
	// WorkDir is absolute; relative paths begin there.
	WorkDir string
	// UID is the effective user id; 0 is root.
	UID int
}

// Abs makes a path absolute and clean.
func (h Host) Abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(h.WorkDir, path)
}

// CurrentHost describes the machine and process it runs in.
func CurrentHost(version string) (Host, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return Host{}, fmt.Errorf("finding the machine's name: %w", err)
	}
	workDir, err := os.Getwd()
	if err != nil {
		return Host{}, fmt.Errorf("finding the working directory: %w", err)
	}
	return Host{
		OS:       runtime.GOOS,
		Arch:     runtime.GOARCH,
		Version:  version,
		Hostname: hostname,
		WorkDir:  workDir,
		UID:      os.Geteuid(),
	}, nil
}
