// Command imagearchive makes a container image of one layer from a directory, with no engine and no registry:
//
//	imagearchive -name REPOSITORY:TAG -out FILE [-entrypoint WORDS] [-cmd WORDS] [-user USER] DIR
//
// The archive is one for "docker load", "ctr images import" and "dev/cluster load". DIR holds directories, files and symbolic links, with the owners
// that they shall have in the image.
package main

import (
	"archive/tar"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "imagearchive:", err)
		os.Exit(1)
	}
}

func run(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("imagearchive", flag.ContinueOnError)
	flags.SetOutput(stderr)
	tag := flags.String("name", "", "name of the image, with a tag")
	out := flags.String("out", "", "archive to write")
	entrypoint := flags.String("entrypoint", "", "words of the entry point, with spaces between them")
	cmd := flags.String("cmd", "", "words of the command, with spaces between them")
	user := flags.String("user", "", "user of the processes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" || flags.NArg() != 1 {
		return errors.New("give -name, -out and one directory")
	}
	ref, err := name.NewTag(*tag, name.WithDefaultTag(""))
	if err == nil && ref.TagStr() == "" {
		err = errors.New("there is no tag")
	}
	if err != nil {
		return fmt.Errorf("-name %q: %w", *tag, err)
	}
	return write(*out, ref, flags.Arg(0), v1.Config{
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Entrypoint: strings.Fields(*entrypoint),
		Cmd:        strings.Fields(*cmd),
		User:       *user,
	})
}

// write makes the archive, whole or not at all.
func write(out string, ref name.Tag, dir string, config v1.Config) error {
	making, err := os.MkdirTemp(filepath.Dir(out), ".imagearchive-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(making)
	files := filepath.Join(making, "layer.tar")
	if err := pack(files, dir); err != nil {
		return fmt.Errorf("%s can't be packed: %w", dir, err)
	}
	layer, err := tarball.LayerFromFile(files)
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return err
	}
	whole := filepath.Join(making, "image.tar")
	if err := tarball.WriteToFile(whole, ref, image); err != nil {
		return err
	}
	return os.Rename(whole, out)
}

// pack writes all of dir into a tar archive.
func pack(archive, dir string) (err error) {
	// What isn't there would be an empty image.
	if _, err := os.ReadDir(dir); err != nil {
		return err
	}
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := tar.NewWriter(file)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return w.Close()
}
