package plan

import "strings"

// Changes says which of the things that cost much to build a build's commits touch.
type Changes struct {
	// VMImage is the machine image or the guest image in it; the reference calls this type of diff ExecutorVMImage.
	VMImage bool
	// Mirror is the machine image of the registry mirror.
	Mirror bool
}

// Everything is for builds whose changes can't be found out: what may have changed counts as changed.
func Everything() Changes { return Changes{VMImage: true, Mirror: true} }

var (
	vmImageFolders = []string{"vm-image/", "cmd/executor/vm-image/", "docker-images/executor-vm/"}
	mirrorFolders  = []string{"docker-mirror/", "cmd/executor/docker-mirror/"}
)

// ChangesOf sorts changed files, given as paths from the repository's root with slashes.
func ChangesOf(files []string) Changes {
	var c Changes
	for _, file := range files {
		c.VMImage = c.VMImage || below(file, vmImageFolders)
		c.Mirror = c.Mirror || below(file, mirrorFolders)
	}
	return c
}

func below(file string, folders []string) bool {
	for _, folder := range folders {
		if strings.HasPrefix(file, folder) {
			return true
		}
	}
	return false
}
