package firecracker

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
)

func makeJail(t *testing.T) *jail {
	t.Helper()
	h := (&rig{}).host()
	j, err := newJail(filepath.Join(t.TempDir(), "firecracker", "machine-1"), DefaultUIDs.First, h)
	require.NoError(t, err)
	return j
}

func (j *jail) inside(name string) string { return filepath.Join(j.dir, "root", name) }

func TestReadOnlyFilesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	j := makeJail(t)
	image := file(t, "image", os.O_RDONLY)
	require.NoError(t, image.Chmod(0o444))
	before, err := image.Stat()
	require.NoError(t, err)
	require.NoError(t, j.link(image, "drive0-0", true))
	after, err := os.Stat(j.inside("drive0-0"))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "it is no copy")
	require.Equal(t, before.Mode(), after.Mode())
	require.True(t, realHost("").owns(after, os.Getuid()))
	require.NoError(t, j.takeOut("drive0-0"))
	require.NoFileExists(t, j.inside("drive0-0"))
	require.NoError(t, j.remove())
	require.NoDirExists(t, j.dir)
}

func TestWritableFilesAreLent(t *testing.T) {
	t.Parallel()
	j := makeJail(t)
	owners := map[string][]int{}
	j.host.chown = func(f *os.File, uid, gid int) error {
		owners[f.Name()] = append(owners[f.Name()], uid, gid)
		return nil
	}
	first, second := file(t, "first", os.O_RDWR), file(t, "second", os.O_RDWR)
	require.NoError(t, j.link(first, "drive0-0", false))
	require.NoError(t, j.link(second, "drive0-1", false))
	lent := []int{j.uid, j.uid}
	require.Equal(t, map[string][]int{first.Name(): lent, second.Name(): lent}, owners)
	require.NoError(t, j.takeOut("drive0-0"))
	returned := append(lent, os.Getuid(), os.Getgid())
	require.Equal(t, returned, owners[first.Name()])
	require.NoError(t, j.remove())
	require.Equal(t, returned, owners[second.Name()], "the end of the jail is the end of all loans")
	require.ErrorIs(t, j.lend(first, "late", &syscall.Stat_t{}), errEnded)
	require.Equal(t, returned, owners[first.Name()])
}

func TestFilesReplaceNothing(t *testing.T) {
	t.Parallel()
	j := makeJail(t)
	image := file(t, "image", os.O_RDONLY)
	require.NoError(t, os.Symlink(image.Name(), j.inside("drive0-0")))
	require.ErrorIs(t, j.link(image, "drive0-0", true), os.ErrExist)
	require.ErrorIs(t, j.copyIn("/proc/self/status", "drive0-0"), os.ErrExist)
	_, err := j.open("drive0-0", unix.O_RDONLY, 0)
	require.ErrorIs(t, err, unix.ELOOP)
	_, err = j.open("../../machine-1", unix.O_RDONLY, 0)
	require.ErrorIs(t, err, unix.EXDEV)
	require.NoError(t, j.remove())
	require.Equal(t, "image", content(t, image))
}

func TestDrivesHaveToBeOnTheJailsFileSystem(t *testing.T) {
	t.Parallel()
	j := makeJail(t)
	elsewhere, err := os.Open("/proc/self/status")
	require.NoError(t, err)
	require.ErrorContains(t, j.link(elsewhere, "drive0-0", true), "on one file system")
	require.Equal(t, fault.Operator, fault.ClassOf(j.link(elsewhere, "drive0-0", true)))
	require.NoError(t, elsewhere.Close())
	require.NoError(t, j.remove())
}

func TestAKernelIsCopiedWhereNoLinkDoes(t *testing.T) {
	t.Parallel()
	j := makeJail(t)
	private := file(t, "kernel", os.O_RDONLY)
	require.NoError(t, private.Chmod(0o600))
	j.host.owns = realHost("").owns // so the jail's user can't read it
	require.NoError(t, j.copyIn(private.Name(), kernelName))
	require.NoError(t, j.copyIn("/proc/version", initramfsName))
	public := file(t, "kernel", os.O_RDONLY)
	require.NoError(t, j.copyIn(public.Name(), "linked"))
	for name, from := range map[string]string{kernelName: private.Name(), initramfsName: "/proc/version", "linked": public.Name()} {
		want, err := os.ReadFile(from)
		require.NoError(t, err)
		got, err := os.ReadFile(j.inside(name))
		require.NoError(t, err)
		require.Equal(t, want, got)
		info, err := os.Stat(j.inside(name))
		require.NoError(t, err)
		require.NotZero(t, info.Mode()&0o004, "everybody may read %s", name)
	}
	info, err := private.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	require.NoError(t, j.remove())
}

func TestASocketHasToBeTheMonitors(t *testing.T) {
	t.Parallel()
	j := makeJail(t)
	require.NoError(t, os.WriteFile(j.inside("socket"), nil, 0o600))
	_, err := j.dial(t.Context(), "socket")
	require.ErrorContains(t, err, "is not the monitor's socket but")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Mknod(j.inside("real"), unix.S_IFSOCK|0o600, 0))
	require.NoError(t, unix.Close(fd))
	j.host.owns = realHost("").owns
	_, err = j.dial(t.Context(), "real")
	require.ErrorContains(t, err, "is not the monitor's socket but", "it is root's, or the tester's")
	require.NoError(t, j.remove())
}

// What other executors' machines have is locked in files, by the keepers.
func TestUsersAreSharedWithOtherProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	uids := UIDs{First: 1000, Count: 2}
	ours, err := newUsers(dir, uids)
	require.NoError(t, err)
	theirs, err := newUsers(dir, uids)
	require.NoError(t, err)
	first, err := ours.lease()
	require.NoError(t, err)
	second, err := theirs.lease()
	require.NoError(t, err)
	require.NotEqual(t, first.uid, second.uid)
	_, err = ours.lease()
	require.ErrorContains(t, err, "all of the 2 uids from 1000")
	require.NoError(t, first.release())
	again, err := theirs.lease()
	require.NoError(t, err)
	require.Equal(t, first.uid, again.uid)
	require.NoError(t, again.release())
	require.NoError(t, second.release())
}

func TestTheKeeperHoldsTheLockAndTheMark(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := r.start(t, r.machine(t, behavior{}))
	i := g.Instance.(*instance)
	process := "/proc/" + strconv.Itoa(i.cmd.Process.Pid)
	environment, err := os.ReadFile(process + "/environ")
	require.NoError(t, err)
	require.Contains(t, strings.Split(string(environment), "\x00"), owner.Mark("test"))
	lock, err := i.user.lock.Stat()
	require.NoError(t, err)
	held, err := os.Stat(process + "/fd/3")
	require.NoError(t, err)
	require.True(t, os.SameFile(lock, held))
	require.NoError(t, g.Close())
}

func TestKeepersDieWithTheExecutorAndTakeTheirNamespaceAlong(t *testing.T) {
	t.Parallel()
	attributes := realHost("").attributes()
	require.Equal(t, syscall.SIGKILL, attributes.Pdeathsig)
	require.EqualValues(t, syscall.CLONE_NEWPID, attributes.Cloneflags)
}
