package agent

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/vm/imagedisk"
)

// KernelDir is where a configuration has the microVMs' kernel.
func KernelDir(config executorconfig.Config) string {
	return filepath.Join(config.Firecracker.VMDir, "kernel")
}

// newImages opens the disks made of images.
func newImages(config executorconfig.Config) (*imagedisk.Store, error) {
	return imagedisk.New(imagedisk.Options{
		Dir:      filepath.Join(config.Firecracker.VMDir, "images"),
		MaxBytes: int64(config.Firecracker.ImageCacheBytes),
		Mirrors:  config.Firecracker.RegistryMirrorURLs,
	})
}

// MachinesDir is where a configuration has the microVMs' own directories.
func MachinesDir(config executorconfig.Config) string {
	return filepath.Join(config.Firecracker.VMDir, "machines")
}

// FetchMachineImage makes the disk of the microVMs' root ahead of the first use.
func FetchMachineImage(ctx context.Context, config executorconfig.Config) (err error) {
	images, err := newImages(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, images.Close()) }()
	disk, err := images.GetTrusted(ctx, config.Firecracker.Image, config.Docker.Auth.Reveal())
	if err != nil {
		return err
	}
	return disk.Close()
}
