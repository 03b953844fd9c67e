package firecracker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// behaviorVariable has the fake's behavior. The real jailer looks at no variable.
const behaviorVariable = "FAKE_BEHAVIOR"

// behavior is what a fake is to do beside its duty.
type behavior struct {
	// Log gets a line for each thing that happens.
	Log string
	// Cgroups stands for the mounted hierarchy.
	Cgroups string
	// Privileged: the fake really gives up its rights and its root. Else its user is everybody's.
	Privileged bool
	// DieEarly ends it before it has a socket.
	DieEarly bool
	// NoSocket keeps it from ever having one.
	NoSocket bool
	// Die, Hang, Refuse and Flood are requests at which it does so.
	Die, Hang, Refuse, Flood string
	// Late is how often the guest agent isn't there yet, Vsock an answer to connections other than the right one.
	Late  int
	Vsock string
	// Chatter is how much the guest prints, in bytes.
	Chatter int
	// Socket is something to put into the place of the API's socket.
	Socket string

	log *os.File
}

func (b behavior) tell(what string) {
	if b.log != nil {
		_, _ = b.log.WriteString(what + "\n")
	}
}

// runJailer is the jailer that becomes the monitor, without a second program: that would need its libraries in the jail.
func runJailer() {
	if err := jailer(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "jailer:", err)
		os.Exit(1)
	}
}

func jailer(args []string) error {
	var b behavior
	if err := json.Unmarshal([]byte(os.Getenv(behaviorVariable)), &b); err != nil {
		return err
	}
	os.Clearenv()
	if b.Privileged {
		_ = unix.Close(3) // the jailer closes what it inherits; else the lock shows when this process ends, as no namespace ends with the keeper
	}
	flags, err := parseJailer(args)
	if err != nil {
		return err
	}
	if b.log, err = os.OpenFile(b.Log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666); err != nil {
		return err
	}
	b.tell("jailer " + strings.Join(args, " "))
	uid, root, err := prepareJail(flags, b)
	if err != nil {
		return err
	}
	if b.DieEarly {
		return errors.New("dying early")
	}
	if b.Privileged {
		if err := confine(root, uid); err != nil {
			return err
		}
	} else if err := errors.Join(os.Chdir(root), unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)); err != nil { // no PID namespace does it
		return err
	}
	return serveAPI(b)
}

// parseJailer reads the arguments as strictly as the jailer does. None for the monitor are expected: above all not --no-seccomp.
func parseJailer(args []string) (map[string][]string, error) {
	known := []string{"id", "exec-file", "uid", "gid", "chroot-base-dir", "cgroup", "cgroup-version", "parent-cgroup", "resource-limit", "netns"}
	flags := map[string][]string{}
	for i := 0; i < len(args); i += 2 {
		name, ok := strings.CutPrefix(args[i], "--")
		if !ok || !slices.Contains(known, name) || i+1 == len(args) {
			return nil, fmt.Errorf("argument %q", args[i])
		}
		flags[name] = append(flags[name], args[i+1])
	}
	for _, name := range []string{"id", "exec-file", "uid", "gid"} {
		if len(flags[name]) != 1 {
			return nil, fmt.Errorf("--%s is there %d times", name, len(flags[name]))
		}
	}
	if !slices.Equal(flags["cgroup-version"], []string{"2"}) {
		return nil, fmt.Errorf("--cgroup-version %v", flags["cgroup-version"])
	}
	return flags, nil
}

func prepareJail(flags map[string][]string, b behavior) (uid int, root string, err error) {
	if uid, err = strconv.Atoi(flags["uid"][0]); err != nil || flags["gid"][0] != flags["uid"][0] {
		return 0, "", fmt.Errorf("uid %v, gid %v", flags["uid"], flags["gid"])
	}
	program, err := filepath.EvalSymlinks(flags["exec-file"][0])
	if err != nil {
		return 0, "", err
	}
	if !strings.Contains(filepath.Base(program), "firecracker") {
		return 0, "", fmt.Errorf("exec-file %s", program)
	}
	root = filepath.Join(flags["chroot-base-dir"][0], filepath.Base(program), flags["id"][0], "root")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return 0, "", err
	}
	from, err := os.Open(program)
	if err != nil {
		return 0, "", err
	}
	to, err := os.OpenFile(filepath.Join(root, filepath.Base(program)), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return 0, "", err
	}
	if _, err := io.Copy(to, from); err != nil {
		return 0, "", err
	}
	for _, setting := range flags["cgroup"] {
		if file, value, ok := strings.Cut(setting, "="); !ok || !strings.Contains(file, ".") || value == "" {
			return 0, "", fmt.Errorf("--cgroup %q", setting)
		}
	}
	if err := os.MkdirAll(filepath.Join(b.Cgroups, flags["parent-cgroup"][0], flags["id"][0]), 0o755); err != nil {
		return 0, "", err
	}
	for _, setting := range flags["resource-limit"] {
		name, value, _ := strings.Cut(setting, "=")
		resource, ok := map[string]int{"fsize": unix.RLIMIT_FSIZE, "no-file": unix.RLIMIT_NOFILE}[name]
		n, err := strconv.ParseUint(value, 10, 64)
		if !ok || err != nil {
			return 0, "", fmt.Errorf("--resource-limit %q", setting)
		}
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			return 0, "", err
		}
	}
	for _, dir := range []string{"", "dev", "dev/net", "run"} {
		path := filepath.Join(root, dir)
		err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, 0o700))
		if b.Privileged {
			err = errors.Join(err, os.Chown(path, uid, uid))
		}
		if err != nil {
			return 0, "", err
		}
	}
	return uid, root, os.WriteFile(filepath.Join(root, filepath.Base(program)+".pid"), []byte(strconv.Itoa(os.Getpid())), 0o600)
}

func confine(root string, uid int) error {
	return errors.Join(syscall.Chroot(root), os.Chdir("/"), syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setuid(uid))
}

// serveAPI is the monitor, whose root is the working directory.
func serveAPI(b behavior) error {
	m := newMonitor(".")
	m.behavior = b
	m.serveVsock = m.guestOf
	m.boot = func(*monitor) {
		fmt.Println("the guest boots")
		fmt.Print(strings.Repeat("chatter\n", b.Chatter/8))
	}
	if b.NoSocket {
		return unix.Pause()
	}
	if b.Socket != "" {
		if err := os.Symlink(b.Socket, apiSocket); err != nil {
			return err
		}
		return unix.Pause()
	}
	listener, err := net.Listen("unix", apiSocket)
	if err != nil {
		return err
	}
	return http.Serve(listener, m)
}
