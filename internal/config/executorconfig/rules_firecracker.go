package executorconfig

import (
	"github.com/c2h5oh/datasize"

	"github.com/open-executor/executor/internal/config"
)

// checkFirecracker decides whether the Firecracker runtime is asked for; its rules hold only then.
func checkFirecracker(l *loader) {
	cfg := &l.cfg.Firecracker
	size, sizeErr := datasize.ParseString(l.cfg.Jobs.DiskSpace)
	if sizeErr == nil {
		cfg.DiskSpaceBytes = size.Bytes()
	}
	cfg.Enabled = l.cfg.Runtime == RuntimeFirecracker || l.cfg.Runtime == RuntimeAuto && l.useFirecracker
	if !cfg.Enabled {
		return
	}
	const wayOut = "set EXECUTOR_USE_FIRECRACKER to false, or EXECUTOR_RUNTIME to another runtime, to run jobs without microVMs"
	if l.host.OS != "linux" {
		l.failf("the firecracker runtime works on linux only, and this is %s: %s", l.host.OS, wayOut)
	}
	if l.host.Arch != "amd64" {
		l.failf("the firecracker runtime works on amd64 only, and this is %s: %s", l.host.Arch, wayOut)
	}
	if cpus := l.cfg.Jobs.NumCPUs; !l.Failed("EXECUTOR_JOB_NUM_CPUS") && cpus != 1 && (cpus <= 0 || cpus%2 != 0) {
		l.failf("%s must be 1 or an even number above 0 for the firecracker runtime, got %d", l.UsedName("EXECUTOR_JOB_NUM_CPUS"), cpus)
	}
	if !l.Failed("EXECUTOR_FIRECRACKER_DISK_SPACE") && (sizeErr != nil || size == 0) {
		l.failf("invalid size %q for EXECUTOR_FIRECRACKER_DISK_SPACE: use a number with a unit, such as 20G", l.cfg.Jobs.DiskSpace)
	}
}

func checkRegistryMirrors(l *loader) {
	for i, mirror := range l.Elements("EXECUTOR_DOCKER_REGISTRY_MIRROR_URL") {
		if mirror == "" {
			continue
		}
		if _, err := config.ParseHTTPURL(mirror); err != nil {
			l.failf("element %d of EXECUTOR_DOCKER_REGISTRY_MIRROR_URL %w", i+1, err)
		}
		l.cfg.Firecracker.RegistryMirrorURLs = append(l.cfg.Firecracker.RegistryMirrorURLs, mirror)
	}
}
