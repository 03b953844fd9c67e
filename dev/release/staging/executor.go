package staging

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/dev/release/modules"
	"github.com/open-executor/executor/dev/release/program"
)

// described is an executor with what it was built from.
type described struct {
	Executor

	goVersion string
	modules   []modules.Module
	// origin says where the list of modules is from.
	origin string
}

// stage puts an executor, its checksum and its bill of materials into its platform's directory. What is checked is the copy.
func (r Release) stage(executor Executor, requirements *modules.Requirements, dir string) (described, error) {
	if err := os.MkdirAll(filepath.Join(dir, executor.platform()), 0o755); err != nil {
		return described{}, err
	}
	copied := filepath.Join(dir, executor.platform(), programName)
	sum, err := copyProgram(executor.Path, copied)
	if err != nil {
		return described{}, err
	}
	read, err := program.Read(copied, executor.Arch)
	if err != nil {
		return described{}, named(err, copied, executor.Path)
	}
	if err := read.CheckStamp(r.Version, r.CommitTime.Unix()); err != nil {
		return described{}, named(err, copied, executor.Path)
	}
	one, err := r.describe(executor, read, requirements)
	if err != nil {
		return described{}, named(err, copied, executor.Path)
	}
	if err := write(dir, executor.platform()+"/"+sumName, []byte(sumLine(sum, programName))); err != nil {
		return described{}, err
	}
	return one, r.writeSBOM(dir, requirements.Main, sum, one)
}

// named tells of the file that the user knows instead of its copy.
func named(err error, copied, original string) error {
	return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), copied, original))
}

// describe finds out what a program was built from: it says so itself when the go command built it; else the list of its packages does, with go.mod.
func (r Release) describe(executor Executor, read *program.Program, requirements *modules.Requirements) (described, error) {
	one := described{Executor: executor, goVersion: read.GoVersion}
	var err error
	switch {
	case read.HasModules():
		if err := r.checkBuild(read, requirements.Main); err != nil {
			return one, err
		}
		one.origin = "The modules are those that the go command wrote into the program."
		one.modules, err = modules.FromBuildInfo(read.Build)
	case executor.Packages != "":
		var packages []string
		if packages, err = readPackages(executor.Packages); err == nil {
			one.origin = "The modules are those of all packages that the program was linked from, as Bazel's build graph names them."
			one.modules, err = requirements.Of(packages)
		}
	default:
		err = fmt.Errorf("%s names no modules, as programs that Bazel built don't, and no list of its packages was given (--packages-%s)", read.Path, executor.platform())
	}
	return one, err
}

// checkBuild compares what the go command wrote about the source with what is released.
func (r Release) checkBuild(read *program.Program, main string) error {
	if read.Build.Main.Path != main {
		return fmt.Errorf("%s is of the module %s, and this is %s", read.Path, read.Build.Main.Path, main)
	}
	for _, setting := range read.Build.Settings {
		switch {
		case setting.Key == "vcs.revision" && setting.Value != r.Commit:
			return fmt.Errorf("%s was built from the commit %s, and this is %s", read.Path, setting.Value, r.Commit)
		case setting.Key == "vcs.modified" && setting.Value == "true":
			return fmt.Errorf("%s was built from a tree with changes that are in no commit", read.Path)
		}
	}
	return nil
}

// readPackages reads import paths, one a line.
func readPackages(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	packages := strings.Fields(string(text))
	if len(packages) == 0 {
		return nil, fmt.Errorf("%s lists no packages", path)
	}
	return packages, nil
}

// copyProgram copies a file, makes it executable and returns its SHA-256 in hexadecimal digits.
func copyProgram(from, to string) (sum string, err error) {
	source, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(target, hash), source); err != nil {
		_ = target.Close()
		return "", fmt.Errorf("copying %s: %w", from, err)
	}
	if err := target.Close(); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// sumLine is a line that sha256sum -c accepts.
func sumLine(sum, name string) string { return sum + "  " + name + "\n" }
