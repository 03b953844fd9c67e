package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/apt"
	"github.com/open-executor/executor/docker-images/debian/internal/deb"
	"github.com/open-executor/executor/docker-images/debian/internal/definition"
	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
	"github.com/open-executor/executor/docker-images/debian/internal/rootfs"
)

// selection is a set of one architecture: --dir, --arch and --set.
type selection struct {
	definition *definition.Definition
	lock       *lockfile.Lock
	// chain are the sets whose layers make up the root, the wanted one last.
	chain []string
}

func selected(flags *flag.FlagSet, args []string) (*selection, error) {
	dir := place(flags)
	architecture := flags.String("arch", "", "")
	set := flags.String("set", "", "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if *architecture == "" || *set == "" {
		return nil, fmt.Errorf("%s needs --arch and --set", flags.Name())
	}
	d, err := definition.Read(filepath.Join(*dir, "packages.yaml"))
	if err != nil {
		return nil, err
	}
	chain, err := d.Chain(*set)
	if err != nil {
		return nil, err
	}
	lock, err := lockfile.Read(lockfile.File(*dir, *architecture))
	if err != nil {
		return nil, err
	}
	s := &selection{definition: d, lock: lock, chain: chain}
	for _, set := range chain {
		if len(lock.Of(set)) == 0 {
			return nil, fmt.Errorf("the lock of %s has no set %s: run go run ./docker-images/debian lock", *architecture, set)
		}
	}
	return s, nil
}

// packages are all of the chain.
func (s *selection) packages() []lockfile.Package {
	var all []lockfile.Package
	for _, set := range s.chain {
		all = append(all, s.lock.Of(set)...)
	}
	return all
}

func fetch(ctx context.Context, w world, flags *flag.FlagSet, args []string) error {
	into := flags.String("into", "", "")
	s, err := selected(flags, args)
	if err != nil {
		return err
	}
	if err := noMore(flags); err != nil {
		return err
	}
	if *into == "" {
		return errors.New("fetch needs --into, the directory to put the packages in")
	}
	absolute, err := filepath.Abs(*into)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(absolute, 0o755); err != nil {
		return err
	}
	mirror, err := apt.FindMirror(ctx, w.run, w.mirror)
	if err != nil {
		return err
	}
	files, err := apt.Fetch(ctx, w.run, mirror, s.packages(), absolute)
	if err != nil {
		return err
	}
	for _, file := range files {
		fmt.Fprintln(w.stdout, file)
	}
	return nil
}

func root(_ context.Context, _ world, flags *flag.FlagSet, args []string) error {
	output := flags.String("output", "", "")
	s, err := selected(flags, args)
	if err != nil {
		return err
	}
	if *output == "" {
		return errors.New("root needs --output, the file to write")
	}
	layers, err := s.layers(flags.Args())
	if err != nil {
		return err
	}
	made, err := rootfs.Build(s.lock.Architecture, s.definition.Drop, s.definition.Scripts, layers)
	if err != nil {
		return err
	}
	var layer bytes.Buffer
	if err := made.WriteLayer(&layer); err != nil {
		return err
	}
	partial := *output + ".partial"
	if err := os.WriteFile(partial, layer.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(partial, *output)
}

// layers reads the packages of each set out of the files, in whichever order and under whichever names these come. What counts is their
// contents: a file that is not locked is refused before anything in it is looked at.
func (s *selection) layers(files []string) ([]rootfs.Layer, error) {
	locked := make(map[string]lockfile.Package)
	for _, p := range s.packages() {
		locked[p.SHA256] = p
	}
	parsed := make(map[string]*deb.Package)
	for _, file := range files {
		contents, err := readBounded(file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(contents)
		p, known := locked[hex.EncodeToString(sum[:])]
		if !known || p.Size != int64(len(contents)) {
			return nil, fmt.Errorf("%s: no package of set %s for %s has the SHA-256 %x", file, strings.Join(s.chain, " or "), s.lock.Architecture, sum)
		}
		if parsed[p.SHA256], err = deb.Read(contents); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if name, version := parsed[p.SHA256].Control.Get("Package"), parsed[p.SHA256].Control.Get("Version"); name != p.Name || version != p.Version {
			return nil, fmt.Errorf("%s: it is %s %s; the lock has it as %s", file, name, version, p)
		}
	}
	var layers []rootfs.Layer
	for _, set := range s.chain {
		layer := rootfs.Layer{Set: s.definition.Sets[set]}
		for _, p := range s.lock.Of(set) {
			if parsed[p.SHA256] == nil {
				return nil, fmt.Errorf("package %s of set %s is not among the files", p, set)
			}
			layer.Packages = append(layer.Packages, parsed[p.SHA256])
		}
		layers = append(layers, layer)
	}
	return layers, nil
}

// readBounded reads a file that is no larger than a package may be.
func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	contents, err := io.ReadAll(io.LimitReader(file, lockfile.MaxPackage+1))
	if err == nil && len(contents) > lockfile.MaxPackage {
		err = fmt.Errorf("%s: more than %d bytes", name, lockfile.MaxPackage)
	}
	return contents, err
}
