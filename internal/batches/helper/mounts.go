package helper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/internal/batches"
	"github.com/open-executor/executor/internal/batches/cachekey"
	"github.com/open-executor/executor/internal/fault"
)

// maxMounted bounds how many files the mounts of all steps may have.
const maxMounted = 1_000_000

// mounts returns the lines that copy a step's mounts in its container.
func (h *Helper) mounts(mounts []batches.Mount) (string, error) {
	if len(mounts) == 0 {
		return "", nil
	}
	root, err := h.openWorkspaceFiles()
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	var lines strings.Builder
	for _, mount := range mounts {
		if err := checkTarget("mount", mount.Mountpoint); err != nil {
			return "", err
		}
		name, err := h.mountName(mount)
		if err != nil {
			return "", err
		}
		// Also what lies deeper has to be in order, before the script copies it.
		info, err := walk(root, name, func(string, fs.FileInfo) error { return nil })
		if err != nil {
			return "", fmt.Errorf("mount %q: %w", mount.Path, err)
		}
		from := filepath.Join(h.path(h.WorkspaceFiles), name)
		if info.IsDir() {
			from += "/"
		}
		to := quote(operand(mount.Mountpoint))
		fmt.Fprintf(&lines, "cp -r %s %s\nchmod -R +x %s\n", quote(from), to, to)
	}
	return lines.String(), nil
}

// mounted describes the files of all steps' mounts, for cache keys.
func (h *Helper) mounted(input *batches.Input) ([]cachekey.MountedFile, error) {
	if !input.HasMounts() {
		return nil, nil
	}
	root, err := h.openWorkspaceFiles()
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	var files []cachekey.MountedFile
	for _, step := range input.Steps {
		for _, mount := range step.Mount {
			name, err := h.mountName(mount)
			if err != nil {
				return nil, err
			}
			_, err = walk(root, name, func(path string, info fs.FileInfo) error {
				if len(files) >= maxMounted {
					return fault.Userf("the steps mount more than %d files: mount fewer", maxMounted)
				}
				files = append(files, cachekey.MountedFile{Path: path, Size: info.Size(), Modified: info.ModTime().UTC()})
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("mount %q: %w", mount.Path, err)
			}
		}
	}
	return files, nil
}

func (h *Helper) openWorkspaceFiles() (*os.Root, error) {
	dir := h.path(h.WorkspaceFiles)
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = fault.Userf("it is no directory")
	}
	if err != nil {
		return nil, fmt.Errorf("the files to mount are looked for in %s (option -workspaceFiles): %w", dir, err)
	}
	return os.OpenRoot(dir)
}

// mountName returns a mount's path relative to the workspace files.
func (h *Helper) mountName(mount batches.Mount) (string, error) {
	name := filepath.FromSlash(mount.Path)
	if filepath.IsAbs(name) {
		relative, err := filepath.Rel(h.path(h.WorkspaceFiles), name)
		if err != nil {
			return "", fault.Userf("mount %q: %w", mount.Path, err)
		}
		name = relative
	}
	name = filepath.Clean(name)
	if mount.Path == "" || !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
		return "", fault.Userf("mount %q lies outside of the directory of the batch spec: only what is below it can be mounted", mount.Path)
	}
	return name, nil
}

// walk calls visit for the regular file of this name, or for all those below the directory of this name, in the order of their names. It
// returns what the name is. Symlinks and whatever else isn't a file or directory is refused, also on the way to the name.
func walk(root *os.Root, name string, visit func(path string, info fs.FileInfo) error) (fs.FileInfo, error) {
	for way := filepath.Dir(name); way != "."; way = filepath.Dir(way) {
		if info, err := root.Lstat(way); err == nil && !info.IsDir() {
			return nil, fault.Userf("%s is no directory", way)
		}
	}
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Userf("%s does not exist in %s: it wasn't uploaded with the batch spec", name, root.Name())
	case err != nil:
		return nil, err
	case info.Mode().IsRegular():
		return info, visit(name, info)
	case !info.IsDir():
		return nil, fault.Userf("%s is %s: only files and directories can be mounted", name, info.Mode().Type())
	}
	entries, err := fs.ReadDir(root.FS(), filepath.ToSlash(name))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if _, err := walk(root, filepath.Join(name, entry.Name()), visit); err != nil {
			return nil, err
		}
	}
	return info, nil
}
