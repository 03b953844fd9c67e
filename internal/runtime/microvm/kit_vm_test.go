//go:build vm && linux

package microvm

import (
	"bytes"
	"context"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sourcegraph/log"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/runtimetest"
	"github.com/open-executor/executor/internal/vm/imagedisk"
	"github.com/open-executor/executor/internal/vm/network"
	"github.com/open-executor/executor/internal/vm/qemu"
	"github.com/open-executor/executor/internal/vm/vmtest"
)

const (
	testGrace  = 2 * time.Second
	testMemory = 64 << 20
)

// site is what the executors of a test share.
type site struct {
	kit      vmtest.Kit
	registry *vmtest.Registry
	images   *imagedisk.Store
	driver   *qemu.Driver
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{kit: vmtest.Boot(t), registry: vmtest.StartRegistry(t)}
	var err error
	s.images, err = imagedisk.New(imagedisk.Options{Dir: filepath.Join(t.TempDir(), "images"), Size: vmtest.DiskSize})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.images.Close()) })
	s.driver, err = qemu.New(log.NoOp(), qemu.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.driver.Close()) })
	return s
}

// executor is one that lives, with this runtime.
type executor struct {
	name, dir string
	runtime   *Runtime
	network   *network.Network
}

func (s *site) executor(t testing.TB, adjust func(*Options)) *executor {
	t.Helper()
	e := &executor{name: "host-" + uuid.NewString(), dir: t.TempDir()}
	machines := filepath.Join(e.dir, "machines")
	claim, err := owner.Take(filepath.Join(e.dir, "owners"), owner.Record{Executor: e.name, Engine: EngineName, Parents: []string{e.dir, machines}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, claim.Close()) })
	e.network, err = network.New(t.Context(), log.NoOp(), network.Options{Executor: e.name})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.network.Close(context.Background())) })
	options := Options{
		CPUs: 1, Memory: testMemory, MemoryShown: "64M", Disk: vmtest.DiskSize, PidsLimit: 200,
		Kernel: s.kit.Kernel, Initramfs: s.kit.Initramfs, Root: s.registry.Root,
		Dir: machines, Prefix: "executor", Grace: testGrace,
	}
	if adjust != nil {
		adjust(&options)
	}
	e.runtime, err = New(log.NoOp(), s.driver, s.images, e.network, claim, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.runtime.Close()) })
	return e
}

// leftovers are the executor's directories, processes and taps.
func (e *executor) leftovers(context.Context) ([]string, error) {
	var left []string
	entries, err := filepath.Glob(filepath.Join(e.dir, "machines", "executor-*"))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		left = append(left, "directory "+entry)
	}
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil, err
	}
	for _, file := range environments {
		if env, err := os.ReadFile(file); err == nil && bytes.Contains(env, []byte(owner.Mark(e.name))) {
			left = append(left, "process "+file)
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if strings.HasPrefix(link.Attrs().Name, network.TapPrefix(e.name)) {
			left = append(left, "tap "+link.Attrs().Name)
		}
	}
	sort.Strings(left)
	return left, nil
}

// put writes a file of a session's workspace: under another name first, since a step may look for it.
func put(ctx context.Context, s runtime.Session, name string, content []byte) error {
	return s.(*session).write(ctx, path.Clean(name), 0o755, bytes.NewReader(content))
}

func TestConformance(t *testing.T) {
	s := newSite(t)
	runtimetest.Run(t, func(t *testing.T) runtimetest.Harness {
		e := s.executor(t, nil)
		return runtimetest.Harness{
			Runtime:     e.runtime,
			Executor:    e.name,
			Workspaces:  e.dir,
			Image:       s.registry.Image,
			Grace:       testGrace,
			MemoryLimit: "64M",
			Put:         put,
			Leftovers:   e.leftovers,
		}
	})
}
