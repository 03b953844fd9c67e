package docker

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// unlockWorkspace lets this user remove what containers, as root or anybody, wrote into the workspace. Only a container can do
// that when the executor isn't root itself.
func (s *session) unlockWorkspace(ctx context.Context) error {
	if os.Geteuid() == 0 || s.image == "" || !hasForeign(s.job.WorkspaceDir, os.Geteuid()) {
		return nil
	}
	return s.openToAll(ctx)
}

func (s *session) openToAll(ctx context.Context) error {
	words := []string{"run", "--rm", "--pull", "never"}
	for _, label := range labels(ctx, s.job, s.name) {
		words = append(words, "--label", label)
	}
	words = append(words, "--network", "none", "--user", "0:0", "-v", s.hostDir+":"+dataDir,
		"--entrypoint", "/bin/sh", s.image, "-c", "chmod -R ugo+rwX,-t "+dataDir)
	if _, err := s.runtime.engine.call(ctx, s.runtime.engine.limits.unlock, words...); err != nil {
		return fmt.Errorf("making files of containers removable: %w", err)
	}
	return nil
}

// hasForeign tells whether below dir there is anything that another user owns, or that can't be looked at.
func hasForeign(dir string, uid int) bool {
	found := false
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != uid {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found || err != nil
}
