package executorconfig

import (
	"net/netip"
	"slices"

	"github.com/c2h5oh/datasize"
	"github.com/docker/go-units"

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
	for name, value := range map[string]string{"EXECUTOR_FIRECRACKER_KERNEL_IMAGE": cfg.KernelImage, "EXECUTOR_FIRECRACKER_SANDBOX_IMAGE": cfg.SandboxImage} {
		i := slices.IndexFunc(table.Variables, func(v config.Variable) bool { return v.Name == name })
		if value != table.Variables[i].Default {
			cfg.Ignored = append(cfg.Ignored, name)
		}
	}
	slices.Sort(cfg.Ignored)
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

// checkMachines holds our own variables of microVMs to what has a meaning.
func checkMachines(l *loader) {
	cfg := &l.cfg.Firecracker
	switch cfg.Driver {
	case DriverAuto, DriverQEMU, DriverFirecracker:
	default:
		l.failf("EXECUTOR_VM_DRIVER is %q; it has to be auto, qemu or firecracker", cfg.Driver)
	}
	switch l.network {
	case "tap", "none":
		cfg.Network = l.network == "tap"
	default:
		l.failf("EXECUTOR_VM_NETWORK is %q; it has to be tap or none", l.network)
	}
	var err error
	if cfg.Subnet, err = netip.ParsePrefix(l.subnet); err != nil {
		l.failf("EXECUTOR_VM_SUBNET: %w; it has to be an IPv4 network, such as 10.61.0.0/16", err)
	}
	atLeast(l, "EXECUTOR_VM_POOL", cfg.Pool, 0)
	size, err := datasize.ParseString(l.imageCache)
	if (err != nil || size == 0) && !l.Failed("EXECUTOR_VM_IMAGE_CACHE") {
		l.failf("invalid size %q for EXECUTOR_VM_IMAGE_CACHE: use a number with a unit, such as 32G", l.imageCache)
	}
	cfg.ImageCacheBytes = size.Bytes()
	// What can't be read, checkMemory tells of; 0 is refused by the runtime.
	if memory, err := units.RAMInBytes(l.cfg.Jobs.Memory); err == nil && memory > 0 {
		cfg.MemoryBytes = uint64(memory)
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
